"""Pages of the events of builds, as those read them who are not served from the newest ones.

All pages begin at the same sequence numbers for everybody, so that many who read the same part of a log at the same
time cost one question to the event log, and keep one page in memory between them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from databuild.service.resources.reader_pool import ReaderPool
from databuild.service.resources.single_flight import SingleFlight
from databuild.v1.events_pb2 import BuildEvent

PAGE: Final = 100
_KEPT: Final = 4


class EventPage(NamedTuple):
    """Events of a build, in order; `full` is whether there may be more."""

    events: Sequence[BuildEvent]
    full: bool


class EventPages:
    """Reads pages. The last few that can never change are kept."""

    def __init__(self, readers: ReaderPool) -> None:
        """Takes what reads the event log."""
        self._readers = readers
        self._in_flight: SingleFlight[tuple[str, int], Sequence[BuildEvent]] = SingleFlight()
        self._kept: OrderedDict[tuple[str, int], Sequence[BuildEvent]] = OrderedDict()

    async def after(self, build_request_id: str, sequence: int) -> EventPage:
        """Returns the events after a sequence number that are on the same page.

        Raises:
            EventLogError: The event log cannot be read.
        """
        key = (build_request_id, sequence // PAGE)
        events = self._kept.get(key)
        if events is None:
            events = await self._in_flight.run(key, lambda: self._read(*key))
        else:
            self._kept.move_to_end(key)
        return EventPage([event for event in events if event.sequence > sequence], full=len(events) == PAGE)

    async def _read(self, build_request_id: str, number: int) -> Sequence[BuildEvent]:
        events = await self._readers.read(
            lambda reader: reader.events(build_request_id, after_sequence=number * PAGE, limit=PAGE)
        )
        if len(events) == PAGE:
            self._kept[build_request_id, number] = events
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return events
