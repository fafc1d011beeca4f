"""Parts of messages are serialized as protobuf does it."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.exporters.wire_format import delimited, varint


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=2**64 - 1))
def test_numbers_are_varints(number: int) -> None:
    assert b"\x08" + varint(number) == UInt64Value(value=number).SerializeToString()


def test_zero_is_one_byte() -> None:
    assert varint(0) == b"\x00"


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300) | st.integers(1, 40_000).map(bytes))
def test_values_have_their_field_and_length(value: bytes) -> None:
    assert delimited(1, value) == BytesValue(value=value).SerializeToString()
    assert delimited(2, value) == Any(value=value).SerializeToString()


def test_fields_may_have_large_numbers() -> None:
    field = delimited(1000, b"abc")
    assert Any.FromString(field).SerializeToString() == field  # kept as an unknown field
