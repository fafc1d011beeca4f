"""Pages of the events of builds, for watchers that need older events than the event feeds keep.

All pages begin at multiples of the page size. Watchers that read the same part of a log at the same time therefore
share one query and one page in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from databuild.service.resources.reader_pool import ReaderPool
from databuild.service.resources.single_flight import SingleFlight
from databuild.tuples import NamedTuple
from databuild.v1.events_pb2 import BuildEvent

PAGE_EVENTS: Final = 100
_MAX_CACHED_PAGES: Final = 4


class EventPage(NamedTuple):
    """Events of a build, in order. If the page is `full`, the log may have more."""

    events: Sequence[BuildEvent]
    full: bool


class EventPages:
    """Reads pages. Caches the pages used last, if they are full: these never change."""

    def __init__(self, readers: ReaderPool) -> None:
        self._readers = readers
        self._in_flight: SingleFlight[tuple[str, int], Sequence[BuildEvent]] = SingleFlight()
        self._cache: OrderedDict[tuple[str, int], Sequence[BuildEvent]] = OrderedDict()

    async def after(self, build_request_id: str, sequence: int) -> EventPage:
        """Returns the events after a sequence number, up to the end of the page.

        Raises:
            EventLogError: The event log cannot be read.
        """
        key = (build_request_id, sequence // PAGE_EVENTS)
        events = self._cache.get(key)
        if events is None:
            events = await self._in_flight.run(key, lambda: self._read(*key))
        else:
            self._cache.move_to_end(key)
        return EventPage([event for event in events if event.sequence > sequence], full=len(events) == PAGE_EVENTS)

    async def _read(self, build_request_id: str, page: int) -> Sequence[BuildEvent]:
        events = await self._readers.read(
            lambda reader: reader.events(build_request_id, after_sequence=page * PAGE_EVENTS, limit=PAGE_EVENTS)
        )
        if len(events) == PAGE_EVENTS:
            self._cache[build_request_id, page] = events
            while len(self._cache) > _MAX_CACHED_PAGES:
                self._cache.popitem(last=False)
        return events
