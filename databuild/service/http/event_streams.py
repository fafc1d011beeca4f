"""Server-sent events, in the format of section 9.2 of the HTML standard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sse_starlette import ServerSentEvent

from databuild.errors import DataBuildError
from databuild.service.api.errors import worded_detail_of
from databuild.service.api.json_codec import to_json, to_json_async
from databuild.service.builds.event_feeds import EventFeeds
from databuild.v1 import service_pb2 as sv
from databuild.v1.events_pb2 import BuildEvent


def encode_events(events: Sequence[BuildEvent]) -> bytes:
    """Returns events as server-sent events. The `id` of each is its sequence number."""
    return "".join([f"id: {event.sequence}\ndata: {to_json(event)}\n\n" for event in events]).encode()


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
