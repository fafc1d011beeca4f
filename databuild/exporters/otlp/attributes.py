"""Attributes in the form of OTLP."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Attributes = Mapping[str, str | bool | int | float]

SCOPE = InstrumentationScope(name="databuild")


def key_values(attributes: Attributes) -> list[KeyValue]:
    """Returns attributes; those that are empty texts are left out."""
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items() if value != ""]


def resource_of(attributes: Mapping[str, str]) -> Resource:
    return Resource(attributes=key_values(attributes))


def _any_value(value: str | float) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value)
