"""Attributes in the form of OTLP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Attributes = Mapping[str, str | bool | int | float]

SCOPE = InstrumentationScope(name="databuild")


def key_values(attributes: Attributes) -> list[KeyValue]:
    """Returns attributes; those that are empty texts are left out."""
    return [_key_value(key, value) for key, value in attributes.items() if value != ""]


@lru_cache(maxsize=1000, typed=True)  # True is equal to 1
def _key_value(key: str, value: str | bool | int | float) -> KeyValue:
    return KeyValue(key=key, value={_FIELDS[type(value)]: value})  # type: ignore[arg-type]


def resource_of(attributes: Mapping[str, str]) -> Resource:
    return Resource(attributes=key_values(attributes))


def nanoseconds(time: Timestamp) -> int:
    """Returns a time in nanoseconds since the epoch; `ToNanoseconds` takes three times as long."""
    return time.seconds * 1_000_000_000 + time.nanos


_FIELDS: Final[Mapping[type, str]] = {
    str: "string_value",
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
}
