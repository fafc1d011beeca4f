"""Batches of events are encoded once for all watchers, with a bounded cache, as the formats of HTTP and of gRPC."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence

import pytest
from google.protobuf import json_format

from databuild.service.builds.event_encodings import Encode, EventEncodings
from databuild.service.http.event_streams import encode_events
from databuild.service.rpc.grpc_api import serialize_events
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

LARGE = "x" * 100_000


def event(sequence: int, ref: str = "raw/1") -> ev.BuildEvent:
    found = ev.BuildEvent(event_id=f"b/{sequence}", build_request_id="b", sequence=sequence)
    found.partition.ref = ref
    return found


class Encoded:
    """Encodes events as their sequence numbers and refs, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, events: Sequence[ev.BuildEvent]) -> bytes:
        self.calls.append([one.sequence for one in events])
        return "".join(f"{one.sequence}:{one.partition.ref} " for one in events).encode()


def test_an_event_over_http_is_an_event_of_a_stream() -> None:
    text = encode_events([event(7, "raw/a\nb")])

    lines = text.decode().split("\n")
    assert (lines[0], lines[2:]) == ("id: 7", ["", ""])
    read = json_format.ParseDict(json.loads(lines[1].removeprefix("data: ")), ev.BuildEvent())
    assert read == event(7, "raw/a\nb")


def test_an_event_over_http_has_the_fields_that_are_set() -> None:
    bare = ev.BuildEvent(event_id="operation 7", build_request_id='a "b"', sequence=7)
    timed = event(8)
    timed.time.FromJsonString("2026-11-28T08:00:00.120Z")

    assert encode_events([]) == b""
    assert encode_events([bare]) == (
        b'id: 7\ndata: {"event_id": "operation 7", "build_request_id": "a \\"b\\"", "sequence": "7"}\n\n'
    )
    assert encode_events([event(7), timed]) == (
        b'id: 7\ndata: {"event_id": "b/7", "build_request_id": "b", "sequence": "7", "partition": {"ref": "raw/1"}}\n\n'
        b'id: 8\ndata: {"event_id": "b/8", "build_request_id": "b", "sequence": "8", '
        b'"time": "2026-11-28T08:00:00.120Z", "partition": {"ref": "raw/1"}}\n\n'
    )


@pytest.mark.parametrize("encode", [encode_events, serialize_events])
async def test_a_batch_is_the_concatenation_of_its_events(encode: Encode) -> None:
    encodings = EventEncodings(encode)
    events = [event(number) for number in range(1, 501)]

    together = await encodings.encode(events)

    assert together == b"".join(encode([one]) for one in events)


@pytest.mark.parametrize("encode", [encode_events, serialize_events])
async def test_a_large_event_is_encoded_as_any_other(encode: Encode) -> None:
    assert await EventEncodings(encode).encode([event(7, LARGE)]) == encode([event(7, LARGE)])


async def test_batches_over_grpc_are_answers_of_the_request() -> None:
    events = [event(number) for number in range(1, 4)]

    answer = sv.WatchBuildResponse.FromString(await EventEncodings(serialize_events).encode(events))

    assert list(answer.events) == events


@pytest.mark.parametrize("events", [[event(1)], [event(number) for number in range(1, 501)], [event(1, LARGE)]])
async def test_a_batch_is_encoded_once_for_all(events: Sequence[ev.BuildEvent]) -> None:
    encode = Encoded()
    encodings = EventEncodings(encode, max_cache_bytes=10**9)

    found = await asyncio.gather(*(encodings.encode(list(events)) for _ in range(50)))
    later = await encodings.encode(list(events))

    assert {*found, later} == {Encoded()(events)}
    assert encode.calls == [[one.sequence for one in events]]


async def test_a_large_event_is_encoded_in_a_thread() -> None:
    threads: list[int] = []

    def encode(_events: Sequence[ev.BuildEvent]) -> bytes:
        threads.append(threading.get_ident())
        return b""

    encodings = EventEncodings(encode)
    await encodings.encode([event(1, LARGE)])
    await encodings.encode([event(2), event(3)])

    assert threads[0] != threading.get_ident() == threads[1]


async def test_no_more_is_kept_than_a_number_of_bytes() -> None:
    encode = Encoded()
    encodings = EventEncodings(encode, max_cache_bytes=100)
    for number in range(1, 30):
        await encodings.encode([event(number)])

    await encodings.encode([event(29)])
    await encodings.encode([event(1)])

    assert encode.calls == [[number] for number in (*range(1, 30), 1)]


async def test_an_encoding_that_is_larger_than_the_cache_is_returned() -> None:
    encodings = EventEncodings(Encoded(), max_cache_bytes=10)

    assert await encodings.encode([event(1, LARGE)]) == f"1:{LARGE} ".encode()
    assert await encodings.encode([event(2)]) == b"2:raw/1 "
