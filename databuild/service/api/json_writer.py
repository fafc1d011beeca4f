"""Writes messages as JSON, as `google.protobuf.json_format` does, in a fifth of its time.

A function is compiled for each type of message. A service writes several events for each task of a build that is
watched over HTTP, and an answer for each submission. Answers have the defaults of fields, the events of streams have
only fields that are set.
"""

from __future__ import annotations

import base64
import functools
import json
import math
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_Write = Callable[[Any], str]
"""Returns a value as JSON."""

_TEXT_NUMBERS: Final = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})
_PLAIN_NUMBERS: Final = frozenset({FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32})
_CACHED_TIMES: Final = 64
"""Events that were recorded together have the same time."""


def write_json(message: Message) -> str:
    """Returns a message as JSON on one line, with the defaults of fields that have no presence.

    These fields come first, in the order of their definition. The other fields follow if they are set.
    """
    return json_writer(message.DESCRIPTOR)(message)


def write_text(text: str) -> str:
    """Returns a text as JSON."""
    return encode_basestring_ascii(text)


@functools.cache
def json_writer(descriptor: Descriptor, *, defaults: bool = True) -> _Write:
    """Returns the function that writes the messages of a type.

    Args:
        descriptor: The type.
        defaults: True to write as `write_json` does; False to leave out fields that have their default. A negative zero
            counts as a default then.
    """
    # Its body is one f-string, which is twice as fast as a loop over the fields.
    alone = [field for field in descriptor.fields if field.has_presence and field.containing_oneof is None]
    rest = "".join([f'{{write_{field.name}(message) if message.HasField("{field.name}") else ""}}' for field in alone])
    rest += "".join([f"{{write_{oneof.name}(message)}}" for oneof in descriptor.oneofs])
    fields = [field for field in descriptor.fields if not field.has_presence]
    first = ", ".join(map(_text, fields)) if defaults else "".join(map(_text_if_set, fields))
    if not (first and defaults):
        first, rest = f"{{f'''{first}{rest}'''[2:]}}", ""  # without the comma before the first member
    names: dict[str, Any] = {f"write_{field.name}": _member_writer(field, defaults) for field in alone}
    names |= {f"write_{field.name}": _field_writer(field, defaults) for field in fields}
    names |= {f"texts_{field.name}": _EnumTexts(field.enum_type) for field in fields if field.enum_type is not None}
    names |= {f"write_{oneof.name}": _oneof_writer(oneof, defaults) for oneof in descriptor.oneofs}
    # Made of names in .proto files only.
    write: _Write = eval(f'lambda message: f"""{{{{{first}{rest}}}}}"""', names)  # noqa: S307
    return write


def _text(field: FieldDescriptor) -> str:
    """Returns the part of the f-string with a field."""
    value = f"message.{field.name}"
    if field.is_repeated:
        empty = "[]" if _map_entry(field) is None else "{}"
        return f'"{field.name}": {{write_{field.name}({value}) if {value} else "{empty}"}}'
    return f'"{field.name}": {_value_text(field, value)}'


def _text_if_set(field: FieldDescriptor) -> str:
    """Returns the part of the f-string with a field and a comma before it, or nothing if the field is not set."""
    member = f', "{field.name}": {_value_text(field, "value")}'
    return f"{{f'{member}' if (value := message.{field.name}) else \"\"}}"


def _value_text(field: FieldDescriptor, value: str) -> str:
    """Returns the part of the f-string with the value of a field.

    Args:
        field: The field.
        value: The expression for the value.
    """
    if not field.is_repeated:
        if field.cpp_type in _PLAIN_NUMBERS:
            return f"{{{value}}}"
        if field.cpp_type in _TEXT_NUMBERS:
            return f'"{{{value}}}"'
        if field.enum_type is not None:
            return f"{{texts_{field.name}[{value}]}}"
    return f"{{write_{field.name}({value})}}"


def _member_writer(field: FieldDescriptor, defaults: bool) -> _Write:
    """Returns a function of a message that writes the name and the value of a field."""
    name, start = field.name, f', "{field.name}": '
    write: _Write | None = None

    def write_member(message: Any) -> str:
        nonlocal write
        if write is None:  # not before it is needed: an event has one of many types, and compiling takes time
            write = _field_writer(field, defaults)
        return start + write(getattr(message, name))

    return write_member


def _oneof_writer(oneof: OneofDescriptor, defaults: bool) -> _Write:
    name = oneof.name
    writers: dict[str | None, _Write] = {field.name: _member_writer(field, defaults) for field in oneof.fields}
    writers[None] = lambda _message: ""
    return lambda message: writers[message.WhichOneof(name)](message)


def _field_writer(field: FieldDescriptor, defaults: bool) -> _Write:
    if (entry := _map_entry(field)) is not None:
        write_key = _key_writer(entry.fields_by_name["key"])
        write_value = _value_writer(entry.fields_by_name["value"], defaults)
        return lambda values: (
            "{" + ", ".join([f"{write_key(key)}: {write_value(value)}" for key, value in values.items()]) + "}"
        )
    write = _value_writer(field, defaults)
    if field.is_repeated:
        return lambda values: f"[{', '.join(map(write, values))}]"
    return write


def _value_writer(field: FieldDescriptor, defaults: bool) -> _Write:
    if field.message_type is not None:
        return _writer_of_messages(field.message_type, defaults)
    if field.enum_type is not None:
        return _EnumTexts(field.enum_type).__getitem__
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _base64
    write = _WRITERS.get(field.cpp_type)
    if write is None:
        raise TypeError(f"{field.full_name} has a type that cannot be written")
    return write


def _writer_of_messages(descriptor: Descriptor, defaults: bool) -> _Write:
    if descriptor.full_name == "google.protobuf.Timestamp":
        return write_time
    if descriptor.full_name.startswith("google.protobuf."):
        return _write_with_library
    return json_writer(descriptor, defaults=defaults)


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    """Returns the type of the entries of a map; None for a field that is no map."""
    kind = field.message_type
    return kind if kind is not None and kind.GetOptions().map_entry else None


def _key_writer(field: FieldDescriptor) -> _Write:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return encode_basestring_ascii
    return lambda key: f'"{str(key).lower()}"'


class _EnumTexts(dict[int, str]):
    """The names of the values of an enum by number, as JSON. A number without a name is written as a number."""

    def __init__(self, enum: EnumDescriptor) -> None:
        # Of several names for a number, the first one counts.
        super().__init__((value.number, f'"{value.name}"') for value in reversed(enum.values))

    def __missing__(self, number: int) -> str:
        return str(number)


def _write_with_library(message: Message) -> str:
    return json.dumps(json_format.MessageToDict(message))


def _base64(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode()}"'


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def write_time(time: Any) -> str:
    """Returns a timestamp as JSON."""
    return _time_text(time.seconds, time.nanos)


@functools.lru_cache(_CACHED_TIMES)
def _time_text(seconds: int, nanos: int) -> str:
    text: str = _second(seconds)
    if nanos == 0:
        return f'"{text}Z"'
    # As protobuf writes it: three, six or nine digits.
    if nanos % 1000:
        return f'"{text}.{nanos:09}Z"'
    return f'"{text}.{nanos // 1000:06}Z"' if nanos % 1_000_000 else f'"{text}.{nanos // 1_000_000:03}Z"'


@functools.lru_cache(_CACHED_TIMES)
def _second(seconds: int) -> str:
    text: str = Timestamp(seconds=seconds).ToJsonString()
    return text.removesuffix("Z")


_WRITERS: Final[Mapping[int, _Write]] = {
    FieldDescriptor.CPPTYPE_STRING: encode_basestring_ascii,
    FieldDescriptor.CPPTYPE_DOUBLE: _number,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    **dict.fromkeys(_PLAIN_NUMBERS, str),
    **dict.fromkeys(_TEXT_NUMBERS, '"{}"'.format),
}
