"""Messages as JSON, in the form that protobuf gives them, with the names of the .proto files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from databuild.errors import InvalidRequestError
from databuild.service.api.nul_check import check_texts

MAX_INTEGER: Final = 2**63 - 1
"""The largest number that a parameter may have."""

_LARGE_BYTES: Final = 50_000
_MAX_DIGITS: Final = 40
_BOOLS: Final = {"true": True, "false": False}
_UNSPECIFIED: Final = "UNSPECIFIED"


def to_json(message: Message) -> str:
    """Returns a message as JSON, on one line; what is not set is there with its default where it has one."""
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
    )


async def to_json_aside(message: Message) -> str:
    """Returns a message as JSON; a large one is converted in a thread."""
    if message.ByteSize() < _LARGE_BYTES:
        return to_json(message)
    return await asyncio.to_thread(to_json, message)


def from_json(text: bytes, descriptor: Descriptor, fields: Mapping[str, str]) -> Message:
    """Reads a request from its body, and the fields that stand in its path.

    Raises:
        InvalidRequestError: It is no such message.
    """
    message = _new(descriptor)
    try:
        body = json.loads(text or b"{}")
        if not isinstance(body, dict):
            raise InvalidRequestError(f"the body is no {descriptor.name}, since it is no JSON object")
        json_format.ParseDict(body, message)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is no {descriptor.name}: {error}") from None
    for name, value in fields.items():
        setattr(message, name, value)
    check_texts(message)
    return message


def from_query(query: Iterable[tuple[str, str]], descriptor: Descriptor, fields: Mapping[str, str]) -> Message:
    """Reads a request from its query, and the fields that stand in its path.

    Raises:
        InvalidRequestError: A parameter is unknown, there twice, or not of its type.
    """
    document: dict[str, Any] = dict(fields)
    for name, text in query:
        field = descriptor.fields_by_name.get(name)
        if field is None:
            known = ", ".join(one.name for one in descriptor.fields if one.name not in fields) or "none"
            raise InvalidRequestError(f"there is no parameter {name!r}; there is {known}")
        if name in document:
            raise InvalidRequestError(f"the parameter {name!r} is there twice")
        document[name] = _value(field, text)
    message = _new(descriptor)
    try:
        json_format.ParseDict(document, message)
    except json_format.ParseError as error:
        raise InvalidRequestError(f"the query is no {descriptor.name}: {error}") from None
    check_texts(message)
    return message


def check_number(name: str, value: int) -> None:
    """Checks that event logs and files can count so far.

    Args:
        name: What the number is called.
        value: The number.

    Raises:
        InvalidRequestError: They cannot.
    """
    if value > MAX_INTEGER:
        raise InvalidRequestError(f"{name!r} is {value}, and can be {MAX_INTEGER} at most")


def short_names(enum: EnumDescriptor) -> list[str]:
    """Returns the names of an enum's values without their prefix, and without the one that stands for none."""
    prefix = enum.values[0].name.removesuffix(_UNSPECIFIED)
    return [value.name.removeprefix(prefix) for value in enum.values[1:]]


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text not in _BOOLS:
            raise InvalidRequestError(f"the parameter {field.name!r} is {text!r}, and can be true or false")
        return _BOOLS[text]
    if field.enum_type is not None:
        names = short_names(field.enum_type)
        if text not in names:
            raise InvalidRequestError(f"the parameter {field.name!r} is {text!r}, and can be {', '.join(names)}")
        return field.enum_type.values[names.index(text) + 1].name
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return text
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequestError(f"the parameter {field.name!r} is {text[:80]!r}, and has to be a whole number")
    check_number(field.name, int(text[:_MAX_DIGITS]))
    return text


def _new(descriptor: Descriptor) -> Message:
    message: Message = message_factory.GetMessageClass(descriptor)()
    return message
