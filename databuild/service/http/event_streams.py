"""Server-sent events, in the format of section 9.2 of the HTML standard."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from sse_starlette import ServerSentEvent

from databuild.errors import DataBuildError
from databuild.service.api.errors import worded_detail_of
from databuild.service.api.json_codec import to_json, to_json_async
from databuild.service.api.json_writer import json_writer, write_text, write_time
from databuild.service.builds.event_feeds import EventFeeds
from databuild.v1 import service_pb2 as sv
from databuild.v1.events_pb2 import BuildEvent


def encode_events(events: Sequence[BuildEvent]) -> bytes:
    """Returns events of one build as server-sent events. The `id` of each is its sequence number.

    The JSON of each event has the fields that are set.
    """
    if not events:
        return b""
    # The members that all events of a build share are written once, and no function is called for the others.
    first = events[0]
    start = f'{{"event_id": {write_text(first.event_id.removesuffix(str(first.sequence)))}'.removesuffix('"')
    middle = f'", "build_request_id": {write_text(first.build_request_id)}, "sequence": "'
    texts = []
    for event in events:
        sequence = event.sequence
        kind = event.WhichOneof("event")
        time = f', "time": {write_time(event.time)}' if event.HasField("time") else ""
        fact = f', "{kind}": {_write_fact(kind)(getattr(event, kind))}' if kind else ""
        texts.append(f'id: {sequence}\ndata: {start}{sequence}{middle}{sequence}"{time}{fact}}}\n\n')
    return "".join(texts).encode()


@functools.cache
def _write_fact(kind: str) -> Callable[[Any], str]:
    """Returns the function that writes the facts of a kind."""
    return json_writer(BuildEvent.DESCRIPTOR.fields_by_name[kind].message_type, defaults=False)


async def event_stream(
    answers: AsyncGenerator[Any], event_feeds: EventFeeds
) -> AsyncGenerator[bytes | ServerSentEvent]:
    """Yields the answers of a streaming RPC as server-sent events.

    An event named `end` follows the last answer. A stream that fails ends with an event named `error` instead. A stream
    that is interrupted ends without either, so that clients reconnect and resume after the last `id`.

    Args:
        answers: The answers: batches of the events of a build, or parts of a log.
        event_feeds: The source of the events.
    """
    encodings = event_feeds.encodings(encode_events)
    try:
        async with contextlib.aclosing(answers):
            async for answer in answers:
                if isinstance(answer, sv.LogChunk):
                    yield ServerSentEvent(await to_json_async(answer), id=str(answer.next_offset))
                else:
                    yield await encodings.encode(answer)
    except DataBuildError as error:
        yield ServerSentEvent(to_json(sv.ErrorResponse(error=worded_detail_of(error))), event="error")
        return
    if not event_feeds.closed:
        yield ServerSentEvent("{}", event="end")
