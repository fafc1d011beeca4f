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
    text = await EventTexts().text(event(7, "raw/a\nb"))

    lines = text.decode().split("\n")
    assert (lines[0], lines[2:]) == ("id: 7", ["", ""])
    read = json_format.ParseDict(json.loads(lines[1].removeprefix("data: ")), ev.BuildEvent())
    assert read == event(7, "raw/a\nb")


async def test_each_is_made_once_for_all() -> None:
    texts = EventTexts()
    small, large = event(1), event(2, "x" * 100_000)

    found = await asyncio.gather(*(texts.text(one) for one in (small, large) for _ in range(50)))

    assert len({id(text) for text in found}) == 2
    assert await texts.text(small) is found[0]


async def test_no_more_is_kept_than_a_number_of_bytes() -> None:
    texts = EventTexts(1000)
    first = await texts.text(event(1))

    for number in range(2, 100):
        await texts.text(event(number))

    assert await texts.text(event(1, "another")) != first, "the first was not kept"
    assert texts._cache_bytes <= 1000
