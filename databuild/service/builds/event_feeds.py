"""Streams of the events of builds, each from a sequence number on, without gaps or duplicates.

All watchers of a build share one buffer with its newest events. A watcher that falls behind the buffer reads pages of
the event log instead. There is no queue for each watcher, so slow watchers cost no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Final

from databuild.errors import EventLogError
from databuild.event_log.reads import BuildReads, LogFeed
from databuild.model.lifecycle import BUILD_ENDS
from databuild.service.builds.event_encodings import LARGE_BYTES, Encode, EventEncodings
from databuild.service.builds.event_pages import PAGE_EVENTS, EventPages
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1.events_pb2 import BuildEvent

_MAX_BUFFER_EVENTS: Final = 2000
_MAX_BUFFER_BYTES: Final = 4 * 1024 * 1024
_MAX_BATCH_EVENTS: Final = 500
_MAX_BATCH_BYTES: Final = 256 * 1024
_WAKE_SECONDS: Final = 0.01
_MAX_WATCHERS_OF_INTERVAL: Final = 10
"""The number of watchers up to which the interval between wake-ups grows with it. Many small batches for many watchers
would take more time than the build."""

_FLOOD_EVENTS: Final = 20
_FLOOD_FACTOR: Final = 5
"""The interval between wake-ups grows at least by this factor after a wake-up for _FLOOD_EVENTS or more, and before one
for as many at once."""

_MAX_NEW_EVENTS: Final = 1500
"""The number of events for which watchers are woken at the latest, so that the buffer has all of them."""

_OWNERSHIP_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 0.2
_WAITS_PER_POLL: Final = 5
"""Poll unconditionally every N waits: a writer that crashed may not have sent its notification."""


class _BuildFeed:
    """The buffer of the newest events of one build, and the watchers that wait for more.

    Attributes:
        watchers: The number of watchers.
        wakes: The number of times that waiting watchers were woken.
    """

    def __init__(self, wake_seconds: float) -> None:
        self._wake_seconds = wake_seconds
        self.watchers = 0
        self.wakes = 0
        self._newest = 0
        self._buffer: deque[tuple[BuildEvent, int]] = deque()
        self._bytes = 0
        self._added: list[Sequence[BuildEvent]] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._woken_at = -math.inf
        self._new_events = 0
        self._interval_factor = 1
        self._timer: asyncio.TimerHandle | None = None
        self._batches_after: tuple[int, Sequence[Sequence[BuildEvent]]] | None = None

    @property
    def newest(self) -> int:
        """The sequence number of the newest event in the buffer; 0 if it is empty."""
        self._fill()
        return self._newest

    def after(self, sequence: int) -> Sequence[Sequence[BuildEvent]] | None:
        """Returns the events after a sequence number in batches; None if the buffer does not reach back so far.

        Watchers that have read equally far share the batches.
        """
        self._fill()
        if self._batches_after is not None and self._batches_after[0] == sequence:
            return self._batches_after[1]
        if not self._buffer or self._buffer[0][0].sequence > sequence + 1:
            return None
        missing = max(self._newest - sequence, 0)
        newest_first = list(itertools.islice(reversed(self._buffer), missing))
        batches = _batches(newest_first[::-1])
        self._batches_after = sequence, batches
        return batches

    def add(self, events: Sequence[BuildEvent]) -> None:
        """Adds durable events to the buffer. Events that it has already are ignored."""
        self._added.append(events)

    def clear(self) -> None:
        """Empties the buffer, so that watchers read the event log."""
        self._added.clear()
        self._empty()

    def _empty(self) -> None:
        self._newest = 0
        self._buffer.clear()
        self._bytes = 0
        self._batches_after = None

    def _fill(self) -> None:
        """Puts added events into the buffer. They come a few at a time; many at a time take less."""
        if not self._added:
            return
        self._batches_after = None
        new: list[BuildEvent] = []
        newest = self._newest
        for event in itertools.chain.from_iterable(self._added):
            sequence = event.sequence
            if sequence <= newest:
                continue
            if sequence != newest + 1:
                # The buffer must not have gaps. Watchers read the missing events from the event log.
                new.clear()
                self._empty()
            new.append(event)
            newest = sequence
        self._added.clear()
        self._newest = newest
        sizes = [event.ByteSize() for event in new]
        self._buffer.extend(zip(new, sizes, strict=True))
        self._bytes += sum(sizes)
        # The newest event always stays, however large: watchers that are up to date need it.
        while len(self._buffer) > 1 and (len(self._buffer) > _MAX_BUFFER_EVENTS or self._bytes > _MAX_BUFFER_BYTES):
            self._bytes -= self._buffer.popleft()[1]

    def wake_soon(self, new_events: int) -> None:
        """Wakes waiting watchers, at most once in each interval, or before so many events are new that some are lost.

        Many events at once wait for an interval, so that those who write them can go on first: after planning, the jobs
        of the build start meanwhile.

        Args:
            new_events: The number of events that were added.
        """
        self._new_events += new_events
        if self._new_events >= _MAX_NEW_EVENTS:
            self.wake()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            now = loop.time()
            if new_events >= _FLOOD_EVENTS:
                next_wake = now + self._interval(_FLOOD_FACTOR)
            else:
                next_wake = self._woken_at + self._interval(self._interval_factor)
            if now < next_wake:
                self._timer = loop.call_at(next_wake, self.wake)
            else:
                self.wake()

    def _interval(self, factor: int) -> float:
        return self._wake_seconds * max(factor, min(self.watchers, _MAX_WATCHERS_OF_INTERVAL))

    def wake(self) -> None:
        """Wakes waiting watchers now."""
        self._fill()  # also if none is waiting: added events have no limit
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.wakes += 1
        self._woken_at = asyncio.get_running_loop().time()
        self._interval_factor = _FLOOD_FACTOR if self._new_events >= _FLOOD_EVENTS else 1
        self._new_events = 0
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait(self) -> None:
        """Waits until watchers are woken."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)


class EventFeeds:
    """Streams the events of builds to all watchers. An `Observer` of the event log.

    The event log notifies it of the events of this process. For builds of other processes it waits for notifications in
    the database, and polls.

    Args:
        readers: Read events.
        notifications: A pool with one reader. A reader reports only what is new since its own last wait.
        runs_here: Returns True for a build of this process, whose events all arrive by `notify`.
        wake_seconds: Minimum interval between wake-ups of waiting watchers, for each watcher of a build (up to ten). An
            event after a quiet period wakes them immediately.
        ownership_seconds: Interval between checks whether all watched builds still run in this process.
    """

    def __init__(
        self,
        readers: ReaderPool,
        notifications: ReaderPool,
        runs_here: Callable[[str], bool],
        *,
        wake_seconds: float = _WAKE_SECONDS,
        ownership_seconds: float = _OWNERSHIP_SECONDS,
    ) -> None:
        self._wake_seconds = wake_seconds
        self._ownership_seconds = ownership_seconds
        self._readers = readers
        self._runs_here = runs_here
        self._pages = EventPages(readers)
        self._notifications = notifications
        self._feeds: dict[str, _BuildFeed] = {}
        self._encodings: dict[Encode, EventEncodings] = {}
        self._watched = asyncio.Event()
        self._follower_task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """True if streams have ended early, since the service shuts down."""
        return self._closed

    @property
    def watchers(self) -> int:
        """The number of open streams."""
        return sum(feed.watchers for feed in self._feeds.values())

    def notify(self, events: Sequence[BuildEvent]) -> None:
        feed = self._feeds.get(events[0].build_request_id)
        if feed is None:
            return
        feed.add(events)
        # Many watchers wait only for the end, so it is not delayed.
        if _is_end(events[-1]):
            feed.wake()
        else:
            feed.wake_soon(len(events))

    def encodings(self, encode: Encode) -> EventEncodings:
        """Returns the encodings of batches by a function, which all its users share."""
        return self._encodings.setdefault(encode, EventEncodings(encode))

    async def watch(self, build_request_id: str, after: int = 0) -> AsyncGenerator[Sequence[BuildEvent]]:
        """Yields batches of the events of a build after a sequence number, and of new events as they come.

        Ends with the build, or when this object is closed.
        """
        feed = self._feeds.setdefault(build_request_id, _BuildFeed(self._wake_seconds))
        feed.watchers += 1
        self._watched.set()
        if self._follower_task is None:
            self._follower_task = asyncio.create_task(self._follow(), name="events of other processes")
        try:
            while not self._closed:
                # Before the events are read, so that none can come unnoticed in between.
                wakes = feed.wakes
                batches = feed.after(after)
                if batches is None:
                    events, full_page = await self._pages.after(build_request_id, after)
                    # The buffer has to end with the newest event, so these do not fit if the log has more by now.
                    if not full_page and wakes == feed.wakes:
                        feed.add(events)
                    batches = _batches([(event, event.ByteSize()) for event in events])
                for batch in batches:
                    yield batch
                    after = batch[-1].sequence
                    if _is_end(batch[-1]):
                        return
                    # Sending may never wait, if the client is fast. Let other tasks run.
                    await asyncio.sleep(0)
                if not batches and wakes == feed.wakes:
                    await feed.wait()
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                self._feeds.pop(build_request_id, None)

    def close(self) -> None:
        """Ends all streams."""
        self._closed = True
        if self._follower_task is not None:
            self._follower_task.cancel()
        for feed in self._feeds.values():
            feed.wake()

    async def _follow(self) -> None:
        """Follows the builds of other processes."""
        waits = 0
        while True:
            if all(map(self._runs_here, self._feeds)):
                self._watched.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._watched.wait(), self._ownership_seconds if self._feeds else None)
                continue
            waits += 1
            try:
                notified = await self._notifications.read(_wait)
            except EventLogError:
                # Not reported here: a watcher gets the error from its own read.
                await asyncio.sleep(_WAIT_SECONDS)
                continue
            if notified or waits % _WAITS_PER_POLL == 0:
                await self._poll()

    async def _poll(self) -> None:
        """Reads the new events of all watched builds of other processes in one query, and wakes their watchers."""
        feeds = {build: feed for build, feed in self._feeds.items() if not self._runs_here(build)}
        newest = {build: feed.newest for build, feed in feeds.items() if feed.newest}
        try:
            new_events = await self._readers.read(functools.partial(_after, newest))
        except EventLogError:
            return  # the next poll tries again
        for build, feed in feeds.items():
            events = new_events.get(build)
            if events is None or len(events) == PAGE_EVENTS:
                # Too far behind to catch up here. Watchers read pages.
                feed.clear()
            else:
                feed.add(events)
            feed.wake()


def _is_end(event: BuildEvent) -> bool:
    return event.HasField("build_request") and event.build_request.status in BUILD_ENDS


def _batches(events: Sequence[tuple[BuildEvent, int]]) -> Sequence[Sequence[BuildEvent]]:
    """Splits events, each with its size in bytes, into batches of limited count and size. A large event is alone."""
    batches: list[list[BuildEvent]] = []
    batch_bytes = _MAX_BATCH_BYTES
    for event, size in events:
        batch_bytes += size
        is_large = size >= LARGE_BYTES
        if batch_bytes > _MAX_BATCH_BYTES or is_large or len(batches[-1]) == _MAX_BATCH_EVENTS:
            batches.append([])
            batch_bytes = size
        batches[-1].append(event)
        if is_large:
            batch_bytes = _MAX_BATCH_BYTES
    return batches


def _after(newest: Mapping[str, int], reader: BuildReads) -> dict[str, Sequence[BuildEvent]]:
    """Returns the events of each build after a sequence number, at most one page of each."""
    return {
        build: reader.events(build, after_sequence=sequence, limit=PAGE_EVENTS) for build, sequence in newest.items()
    }


def _wait(reader: LogFeed) -> bool:
    return reader.wait(_WAIT_SECONDS)
