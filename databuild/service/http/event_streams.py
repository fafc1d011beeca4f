"""Server-sent events, in the format of section 9.2 of the HTML standard."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Final

from sse_starlette import ServerSentEvent

from databuild.errors import DataBuildError
from databuild.service.api.errors import worded_detail_of
from databuild.service.api.json_codec import is_large, to_json, to_json_async
from databuild.service.resources.single_flight import SingleFlight
from databuild.v1 import service_pb2 as sv
from databuild.v1.events_pb2 import BuildEvent

_MAX_CACHE_BYTES: Final = 4 * 1024 * 1024
_CONVERSIONS_PER_TURN: Final = 100


class EventTexts:
    """Build events as server-sent events.

    Each event is converted once for all clients that watch a build. The newest texts are cached.

    Args:
        max_cache_bytes: The size of the cache.
    """

    def __init__(self, max_cache_bytes: int = _MAX_CACHE_BYTES) -> None:
        self._max_cache_bytes = max_cache_bytes
        self._cache_bytes = 0
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._in_flight: SingleFlight[str, bytes] = SingleFlight()

    async def texts(self, events: Iterable[BuildEvent]) -> bytes:
        """Returns the texts of events. The `id` of each is its sequence number."""
        texts = []
        conversions = 0
        for event in events:
            text = self._cache.get(event.event_id)
            if text is None:
                conversions += 1
                if conversions % _CONVERSIONS_PER_TURN == 0:
                    await asyncio.sleep(0)  # let other tasks run
                if is_large(event):
                    text = await self._in_flight.run(event.event_id, functools.partial(self._convert_in_thread, event))
                else:
                    text = self._add(event, to_json(event))
            texts.append(text)
        return b"".join(texts)

    async def _convert_in_thread(self, event: BuildEvent) -> bytes:
        return self._add(event, await to_json_async(event))

    def _add(self, event: BuildEvent, text_of_event: str) -> bytes:
        text = f"id: {event.sequence}\ndata: {text_of_event}\n\n".encode()
        self._cache[event.event_id] = text
        self._cache_bytes += len(text)
        while self._cache_bytes > self._max_cache_bytes:
            self._cache_bytes -= len(self._cache.popitem(last=False)[1])
        return text


async def event_stream(
    answers: AsyncGenerator[Any], texts: EventTexts, is_interrupted: Callable[[], bool]
) -> AsyncGenerator[bytes | ServerSentEvent]:
    """Yields the answers of a streaming RPC as server-sent events.

    An event named `end` follows the last answer. A stream that fails ends with an event named `error` instead. A stream
    that is interrupted ends without either, so that clients reconnect and resume after the last `id`.

    Args:
        answers: The answers: events of a build, or parts of a log.
        texts: Converts events.
        is_interrupted: Returns True if the service ended the answers early, since it shuts down.
    """
    try:
        async with contextlib.aclosing(answers):
            async for answer in answers:
                if isinstance(answer, sv.WatchBuildResponse):
                    yield await texts.texts(answer.events)
                else:
                    yield ServerSentEvent(await to_json_async(answer), id=str(answer.next_offset))
    except DataBuildError as error:
        yield ServerSentEvent(to_json(sv.ErrorResponse(error=worded_detail_of(error))), event="error")
        return
    if not is_interrupted():
        yield ServerSentEvent("{}", event="end")
