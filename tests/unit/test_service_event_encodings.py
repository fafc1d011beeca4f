"""Batches of events are encoded once for all watchers, with a bounded cache, as the formats of HTTP and of gRPC."""

from __future__ import annotations

import asyncio
import json
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


@pytest.mark.parametrize("encode", [encode_events, serialize_events])
async def test_a_batch_is_the_concatenation_of_its_events(encode: Encode) -> None:
    encodings = EventEncodings(encode)
    # Some parts are encoded in turns and some events in threads.
    events = [event(number, LARGE if number % 300 == 0 else "raw/1") for number in range(1, 900)]

    together = await encodings.encode(events)

    assert together == b"".join(encode([one]) for one in events)


async def test_batches_over_grpc_are_answers_of_the_request() -> None:
    events = [event(number) for number in range(1, 4)]

    answer = sv.WatchBuildResponse.FromString(await EventEncodings(serialize_events).encode(events))

    assert list(answer.events) == events


@pytest.mark.parametrize("size", [1, 100, 500])
@pytest.mark.parametrize("ref", ["raw/1", LARGE])
async def test_a_batch_is_encoded_once_for_all(size: int, ref: str) -> None:
    encode = Encoded()
    encodings = EventEncodings(encode, max_cache_bytes=10**9)
    events = [event(1, ref), *(event(number) for number in range(2, size + 1))]

    found = await asyncio.gather(*(encodings.encode(list(events)) for _ in range(50)))
    later = await encodings.encode(list(events))

    assert {*found, later} == {Encoded()(events)}
    assert sorted(number for call in encode.calls for number in call) == list(range(1, size + 1))


async def test_other_tasks_run_while_a_long_batch_is_encoded() -> None:
    encode = Encoded()
    encoding = asyncio.create_task(EventEncodings(encode).encode([event(number) for number in range(1, 501)]))

    while not encode.calls:
        await asyncio.sleep(0)

    assert not encoding.done()
    assert len(encode.calls[0]) < 500
    assert await encoding == Encoded()([event(number) for number in range(1, 501)])


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
