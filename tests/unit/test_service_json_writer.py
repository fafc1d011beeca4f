"""Messages are written as the same JSON as the library of protobuf writes."""

from __future__ import annotations

import json
import operator
import random
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.service.api.json_writer import json_writer, write_json
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2

_INTEGERS = (0, 1, -1, 7, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1)
_NUMBERS = (0.0, -0.0, 1.0, -2.5, 1e300, 0.1, float("nan"), float("inf"), float("-inf"))
_TEXTS = ("", "raw/1", 'quote " and \\ and \n', "umlaut ä, emoji \U0001f600", "\x00\x1f")
_TYPES = [*sorted(service_pb2.DESCRIPTOR.message_types_by_name), "BuildEvent"]


def written(message: Message, *, defaults: bool = True) -> Any:
    """Returns the JSON of a message with its numbers as text, and its objects as lists of members in any order."""
    return parsed(json_writer(message.DESCRIPTOR, defaults=defaults)(message))


def expected(message: Message, *, defaults: bool = True) -> Any:
    """Returns the same as `written`, by the library of protobuf."""
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=defaults, indent=None
    )
    return parsed(text, without_negative_zeros=not defaults)


def parsed(text: str, *, without_negative_zeros: bool = False) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        if without_negative_zeros:
            pairs = [pair for pair in pairs if pair[1] != "-0.0 as float"]
        return sorted(pairs, key=operator.itemgetter(0))

    return json.loads(text, object_pairs_hook=members, parse_int="{} as int".format, parse_float="{} as float".format)


def new(descriptor: Descriptor) -> Message:
    message: Message = message_factory.GetMessageClass(descriptor)()
    return message


def filled(descriptor: Descriptor, dice: random.Random, depth: int = 4) -> Message:
    """Returns a message with values of about half of its fields."""
    if descriptor.full_name == "google.protobuf.Timestamp":
        return Timestamp(seconds=dice.randrange(-(10**9), 10**10), nanos=dice.choice((0, 5 * 10**8, 123_000, 7)))
    message: Any = new(descriptor)
    if descriptor.full_name == "google.protobuf.Struct":
        message.update({"number": 1.5, "text": dice.choice(_TEXTS), "list": [True, None, {"a": 1}]})
        return message  # type: ignore[no-any-return]
    if descriptor.full_name == "google.protobuf.ListValue":
        message.extend([1.5, dice.choice(_TEXTS), None])
        return message  # type: ignore[no-any-return]
    for field in descriptor.fields:
        if dice.random() < 0.5 and (depth or field.message_type is None):
            fill(message, field, dice, depth)
    return message  # type: ignore[no-any-return]


def fill(message: Any, field: FieldDescriptor, dice: random.Random, depth: int) -> None:
    values = list(values_of(field, dice, depth))
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for entry in values:
            if entry.DESCRIPTOR.fields_by_name["value"].message_type is not None:
                getattr(message, field.name)[entry.key].CopyFrom(entry.value)
            else:
                getattr(message, field.name)[entry.key] = entry.value
    elif field.is_repeated:
        getattr(message, field.name).extend(values)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(values[0])
    else:
        setattr(message, field.name, values[0])


def values_of(field: FieldDescriptor, dice: random.Random, depth: int) -> Iterator[Any]:
    for _ in range(3):
        if field.message_type is not None:
            yield filled(field.message_type, dice, depth - 1)
        elif field.enum_type is not None:
            yield dice.choice([*(value.number for value in field.enum_type.values), 99_999])
        elif field.type == FieldDescriptor.TYPE_BYTES:
            yield dice.randbytes(5)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            yield dice.choice(_TEXTS)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            yield dice.random() < 0.5
        elif field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
            yield dice.choice(_NUMBERS)
        else:
            yield dice.choice([number for number in _INTEGERS if fits(number, field)])


def fits(number: int, field: FieldDescriptor) -> bool:
    bits = 32 if field.cpp_type in {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32} else 64
    signed = field.cpp_type in {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
    return number in range(-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else number in range(2**bits)


@pytest.mark.parametrize("defaults", [True, False])
@pytest.mark.parametrize("name", _TYPES)
def test_every_answer_and_event_is_written_as_protobuf_writes_it(name: str, defaults: bool) -> None:
    descriptor: Any = {**service_pb2.DESCRIPTOR.message_types_by_name, "BuildEvent": ev.BuildEvent.DESCRIPTOR}[name]
    dice = random.Random(name)
    for message in (new(descriptor), *(filled(descriptor, dice) for _ in range(20))):
        assert written(message, defaults=defaults) == expected(message, defaults=defaults)


@given(st.text(), st.floats(), st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1), st.binary())
@settings(deadline=None)
def test_any_value_is_written_as_protobuf_writes_it(
    text: str, number: float, unsigned: int, integer: int, data: bytes
) -> None:
    event = ev.JobEvent(
        job_label=text, duration_seconds=number, peak_memory_bytes=unsigned, exit_code=integer, metrics=[]
    )
    event.manifest.output_digests[text] = text
    event.metrics.add(name=text, value=number)

    for message in (event, service_pb2.LogChunk(data=data, next_offset=unsigned)):
        for defaults in (True, False):
            assert written(message, defaults=defaults) == expected(message, defaults=defaults)
        assert "\n" not in write_json(message)


def test_fields_follow_their_definition_and_those_with_presence_come_last() -> None:
    event = ev.BuildEvent(sequence=7)
    event.partition.cause = "c"

    assert write_json(event) == (
        '{"event_id": "", "build_request_id": "", "sequence": "7", "partition": {"ref": "", '
        '"status": "PARTITION_STATUS_UNSPECIFIED", "task_id": 0, "job_run_id": "", "reason": "REASON_UNSPECIFIED", '
        '"cause": "c", "version": ""}}'
    )


def test_fields_that_are_not_set_are_left_out_without_defaults() -> None:
    event = ev.JobEvent(task_id=7, stdout_bytes=0)
    event.metrics.add()
    event.manifest.output_digests["raw/1"] = ""

    assert json_writer(ev.JobEvent.DESCRIPTOR, defaults=False)(event) == (
        '{"task_id": 7, "metrics": [{}], "manifest": {"output_digests": {"raw/1": ""}}, "stdout_bytes": "0"}'
    )
    assert json_writer(ev.JobEvent.DESCRIPTOR, defaults=False)(ev.JobEvent()) == "{}"


def test_an_event_that_is_written_reads_as_the_same_event() -> None:
    event = ev.BuildEvent(event_id="b/1", build_request_id="b", sequence=1)
    event.time.FromJsonString("2026-11-28T08:00:00.120Z")
    event.partition.ref = "raw/ä"

    text = write_json(event)

    assert json.loads(text)["time"] == "2026-11-28T08:00:00.120Z"
    assert json_format.Parse(text, ev.BuildEvent()) == event
