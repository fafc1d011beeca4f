"""Batches of the events of builds as bytes for watchers. It does not know the formats."""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from databuild.service.resources.single_flight import SingleFlight
from databuild.v1.events_pb2 import BuildEvent

Encode: TypeAlias = Callable[[Sequence[BuildEvent]], bytes]
"""Encodes events. The encoding of a sequence of events is the concatenation of those of its parts."""

LARGE_BYTES: Final = 50_000
"""The size of an event that would block the event loop while it is encoded."""

_MAX_CACHE_BYTES: Final = 4 * 1024 * 1024


class EventEncodings:
    """Encodes each batch once for all clients that watch a build. The newest encodings are cached.

    The first and the last event of a batch identify it, so one object is for the builds of one event log.

    Args:
        encode: Encodes events.
        max_cache_bytes: The size of the cache.
    """

    def __init__(self, encode: Encode, max_cache_bytes: int = _MAX_CACHE_BYTES) -> None:
        self._encode = encode
        self._max_cache_bytes = max_cache_bytes
        self._cache_bytes = 0
        self._cache: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._in_flight: SingleFlight[tuple[str, str], bytes] = SingleFlight()

    async def encode(self, events: Sequence[BuildEvent]) -> bytes:
        """Returns the encoding of consecutive events of one build: either a large one, or several that are not."""
        key = events[0].event_id, events[-1].event_id
        encoded = self._cache.get(key)
        if encoded is None:
            if len(events) > 1 or events[0].ByteSize() < LARGE_BYTES:
                return self._add(key, self._encode(events))
            encoded = await self._in_flight.run(key, functools.partial(self._encode_in_thread, key, events))
        return encoded

    async def _encode_in_thread(self, key: tuple[str, str], events: Sequence[BuildEvent]) -> bytes:
        return self._add(key, await asyncio.to_thread(self._encode, events))

    def _add(self, key: tuple[str, str], encoded: bytes) -> bytes:
        self._cache[key] = encoded
        self._cache_bytes += len(encoded)
        while self._cache_bytes > self._max_cache_bytes:
            self._cache_bytes -= len(self._cache.popitem(last=False)[1])
        return encoded
