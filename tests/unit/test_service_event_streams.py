"""Events as server-sent events: converted once for all watchers, with a bounded cache."""

from __future__ import annotations

import asyncio
import json

from google.protobuf import json_format

from databuild.service.http.event_streams import EventTexts
from databuild.v1 import events_pb2 as ev


def event(sequence: int, ref: str = "raw/1") -> ev.BuildEvent:
    found = ev.BuildEvent(event_id=f"b/{sequence}", build_request_id="b", sequence=sequence)
    found.partition.ref = ref
    return found


async def test_a_text_is_an_event_of_a_stream() -> None:
    text = await EventTexts().texts([event(7, "raw/a\nb")])

    lines = text.decode().split("\n")
    assert (lines[0], lines[2:]) == ("id: 7", ["", ""])
    read = json_format.ParseDict(json.loads(lines[1].removeprefix("data: ")), ev.BuildEvent())
    assert read == event(7, "raw/a\nb")


async def test_events_are_written_in_their_order() -> None:
    texts = EventTexts()
    events = [event(number, "x" * 100_000 if number % 100 == 0 else "raw/1") for number in range(1, 251)]

    together = await texts.texts(events)

    lines = [line for line in together.decode().split("\n") if line.startswith("id: ")]
    assert lines == [f"id: {number}" for number in range(1, 251)]
    assert together == b"".join([await texts.texts([one]) for one in events])


async def test_each_is_made_once_for_all() -> None:
    texts = EventTexts()
    small, large = event(1), event(2, "x" * 100_000)

    found = await asyncio.gather(*(texts.texts([one]) for one in (small, large) for _ in range(50)))

    assert len(set(found)) == 2
    # A cached text is used even if the event is another one.
    assert await texts.texts([event(1, "another")]) == found[0]


async def test_a_large_event_is_converted_once_for_those_that_wait() -> None:
    texts = EventTexts()
    large = event(2, "x" * 100_000)

    waiting = [asyncio.create_task(texts.texts([large])) for _ in range(50)]
    await asyncio.sleep(0)

    assert len(texts._in_flight._tasks) == 1
    assert len(set(await asyncio.gather(*waiting))) == 1


async def test_no_more_is_kept_than_a_number_of_bytes() -> None:
    texts = EventTexts(1000)
    first = await texts.texts([event(1)])

    for number in range(2, 100):
        await texts.texts([event(number)])

    assert await texts.texts([event(1, "another")]) != first, "the first was not kept"
    assert texts._cache_bytes <= 1000
