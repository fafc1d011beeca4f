"""Messages as JSON: the protobuf JSON format, with field names as in the .proto files."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from databuild.errors import InvalidRequestError
from databuild.service.api.json_writer import write_json
from databuild.service.api.nul_check import check_no_nul

MAX_INTEGER: Final = 2**63 - 1
"""The largest integer that event logs and files can hold. Fields of protobuf can be larger."""

_LARGE_BYTES: Final = 50_000
_MAX_DIGITS: Final = 40
_UNKNOWN_FIELD: Final = re.compile(
    r'has no field named "(.*?)" at "\w+(.*?)"\.\s+Available Fields.*?\[(.*?)\]', re.DOTALL
)
_BOOLS: Final = {"true": True, "false": False}
_UNSPECIFIED: Final = "UNSPECIFIED"


def to_json(message: Message) -> str:
    """Returns a message as JSON on one line. Unset fields are included with their default, if they have one."""
    return write_json(message)


async def to_json_async(message: Message) -> str:
    """Returns a message as JSON. Converts a large one in a thread, since that would block the event loop."""
    is_large = message.ByteSize() >= _LARGE_BYTES
    return await asyncio.to_thread(to_json, message) if is_large else to_json(message)


def from_json(text: bytes, descriptor: Descriptor, fields: Mapping[str, str]) -> Message:
    """Parses a request with a body.

    Args:
        text: The body; empty for an empty message.
        descriptor: The type of the message.
        fields: The fields in the path, by name. They replace fields of the body.

    Raises:
        InvalidRequestError: The body is not valid JSON, or does not fit the type.
    """
    message = _new(descriptor)
    try:
        # ParseDict expects an object. The check below gives other JSON values a clear message.
        body = json.loads(text or b"{}")
        if not isinstance(body, dict):
            raise InvalidRequestError(f"the body is not a JSON object; it must be a {descriptor.name}")
        json_format.ParseDict(body, message)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not a valid {descriptor.name}: {_fault_text(error)}") from None
    for name, value in fields.items():
        setattr(message, name, value)
    check_no_nul(message)
    return message


async def from_json_async(text: bytes, descriptor: Descriptor, fields: Mapping[str, str]) -> Message:
    """Parses a request with a body, as `from_json` does. Parses a large one in a thread."""
    if len(text) < _LARGE_BYTES:
        return from_json(text, descriptor, fields)
    return await asyncio.to_thread(from_json, text, descriptor, fields)


def from_query(query: Iterable[tuple[str, str]], descriptor: Descriptor, fields: Mapping[str, str]) -> Message:
    """Parses a request without a body.

    Args:
        query: The parameters: names and values.
        descriptor: The type of the message.
        fields: The fields in the path, by name.

    Raises:
        InvalidRequestError: A parameter is unknown, not of its type, or repeated although its field is not.
    """
    document: dict[str, Any] = dict(fields)
    for name, text in query:
        field = descriptor.fields_by_name.get(name)
        if field is None:
            allowed = ", ".join(field.name for field in descriptor.fields if field.name not in fields) or "none"
            raise InvalidRequestError(f"there is no parameter {name!r}; the parameters are: {allowed}")
        if field.is_repeated and name not in fields:
            document.setdefault(name, []).append(_value(field, text))
            continue
        if name in document:
            raise InvalidRequestError(f"the parameter {name!r} is repeated")
        document[name] = _value(field, text)
    message = _new(descriptor)
    try:
        json_format.ParseDict(document, message)
    except json_format.ParseError as error:
        raise InvalidRequestError(f"the query is not a valid {descriptor.name}: {error}") from None
    check_no_nul(message)
    return message


def _fault_text(error: Exception) -> str:
    """Words the error about an unknown field plainly, with the names of .proto files, and any other one as it is."""
    match = _UNKNOWN_FIELD.search(str(error))
    if match is None:
        return str(error)
    name, path, known = match.groups()
    # The parser lists the names in lowerCamelCase, which it accepts as well.
    fields = [re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", field) for field in re.findall(r"\w+", known)]
    return f"{path.lstrip('.') or 'it'} has no field {name!r}; its fields are {', '.join(fields)}"


def check_number(name: str, value: int) -> None:
    """Rejects numbers above MAX_INTEGER.

    Args:
        name: The name of the field, for the error message.
        value: The number.

    Raises:
        InvalidRequestError: The number is too large.
    """
    if value > MAX_INTEGER:
        raise InvalidRequestError(f"{name!r} is {value}; it must be at most {MAX_INTEGER}")


def short_names(enum: EnumDescriptor) -> list[str]:
    """Returns the names of the values of an enum without their common prefix, and without UNSPECIFIED."""
    prefix = enum.values[0].name.removesuffix(_UNSPECIFIED)
    return [value.name.removeprefix(prefix) for value in enum.values[1:]]


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text not in _BOOLS:
            raise InvalidRequestError(f"the parameter {field.name!r} is {text!r}; it must be true or false")
        return _BOOLS[text]
    if field.enum_type is not None:
        names = short_names(field.enum_type)
        if text not in names:
            raise InvalidRequestError(f"the parameter {field.name!r} is {text!r}; it must be one of {', '.join(names)}")
        return field.enum_type.values[names.index(text) + 1].name
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return text
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequestError(f"the parameter {field.name!r} is {text[:80]!r}; it must be a whole number")
    # int() of very many digits raises another error. A number that is cut here is too large anyway.
    check_number(field.name, int(text[:_MAX_DIGITS]))
    return text


def _new(descriptor: Descriptor) -> Message:
    message: Message = message_factory.GetMessageClass(descriptor)()
    return message
