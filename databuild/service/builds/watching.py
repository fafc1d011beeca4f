"""Events of builds for those who watch: from a sequence number on, without gap or double, as fast as each takes them.

The newest events of a watched build are kept, a bounded number of them, for all who watch it. Who is too slow for that
reads pages of the event log instead, so that nothing ever queues for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Final

from databuild.errors import EventLogError
from databuild.event_log.reads import BuildReads, LogFeed
from databuild.model.lifecycle import BUILD_ENDS
from databuild.service.builds.event_pages import PAGE, EventPages
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1.events_pb2 import BuildEvent

_KEPT: Final = 500
_KEPT_BYTES: Final = 4 * 1024 * 1024
_AT_ONCE: Final = 20
_AT_ONCE_BYTES: Final = 256 * 1024
_TELL_SECONDS: Final = 0.01
"""Who waits is woken at once where little happens, and so often where much does."""
_WAIT_SECONDS: Final = 0.2
_WAITS_PER_LOOK: Final = 5
"""What a writer that died had no time to tell of comes without news."""
_OURS_SECONDS: Final = 1.0
"""How often is looked whether all builds that are watched are still of this process."""


class _Feed:
    """The newest events of one build, up to the last that is known of, and who waits for more."""

    def __init__(self) -> None:
        self.watchers = 0
        self.newest = 0
        self._kept: deque[tuple[BuildEvent, int]] = deque()
        self._bytes = 0
        self._news: asyncio.Future[None] | None = None
        self._told_at = -math.inf
        self._telling: asyncio.TimerHandle | None = None

    def after(self, sequence: int) -> Sequence[BuildEvent] | None:
        """Returns the events after a sequence number; None where the log has to be asked."""
        if not self._kept or self._kept[0][0].sequence > sequence + 1:
            return None
        missed = max(self.newest - sequence, 0)
        return [event for event, _ in itertools.islice(self._kept, len(self._kept) - missed, None)]

    def take(self, events: Sequence[BuildEvent]) -> None:
        """Takes the newest durable events, some of which may be known."""
        for event in events:
            sequence = event.sequence
            if sequence <= self.newest:
                continue
            if sequence != self.newest + 1:
                self.forget()
            self.newest = sequence
            size = event.ByteSize()
            self._kept.append((event, size))
            self._bytes += size
        while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._bytes > _KEPT_BYTES):
            self._bytes -= self._kept.popleft()[1]

    def forget(self) -> None:
        """Forgets all events, so that the log has to be asked."""
        self.newest = 0
        self._kept.clear()
        self._bytes = 0

    def tell_soon(self) -> None:
        """Wakes those who wait, once for all that happens within a moment."""
        if self._telling is not None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._told_at < _TELL_SECONDS:
            self._telling = loop.call_at(self._told_at + _TELL_SECONDS, self.tell)
        else:
            self.tell()

    def tell(self) -> None:
        """Wakes those who wait."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._told_at = asyncio.get_running_loop().time()
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    def news(self) -> asyncio.Future[None]:
        """Returns what is done when there may be more than there is now."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        return self._news


class Watching:
    """Serves everybody who watches a build."""

    def __init__(self, readers: ReaderPool, follower: ReaderPool, is_ours: Callable[[str], bool]) -> None:
        """Takes what reads the event log.

        Args:
            readers: For events.
            follower: Of one reader, for news: what is new is new to that reader.
            is_ours: Tells whether a build runs in this process, so that all its events are told.
        """
        self._readers = readers
        self._is_ours = is_ours
        self._pages = EventPages(readers)
        self._news_reader = follower
        self._feeds: dict[str, _Feed] = {}
        self._joined = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether watching has ended early, since the service does."""
        return self._closed

    @property
    def watchers(self) -> int:
        """How many watch."""
        return sum(feed.watchers for feed in self._feeds.values())

    def notify(self, events: Sequence[BuildEvent]) -> None:
        """Takes events of one build that have become durable, as `Observer.notify` says."""
        feed = self._feeds.get(events[0].build_request_id)
        if feed is None:
            return
        feed.take(events)
        if events[-1].build_request.status in BUILD_ENDS:
            feed.tell()
        else:
            feed.tell_soon()

    async def watch(self, build_request_id: str, after: int = 0) -> AsyncGenerator[Sequence[BuildEvent]]:
        """Returns the events of a build after a sequence number, then new ones as they come; ends with the build.

        They come some at once, as many as happened within a moment. It ends early where the service does.
        """
        feed = self._feeds.setdefault(build_request_id, _Feed())
        feed.watchers += 1
        self._joined.set()
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow(), name="events-of-others")
        try:
            while not self._closed:
                news = feed.news()
                events = feed.after(after)
                if events is None:
                    events, more = await self._pages.after(build_request_id, after)
                    if not more and not news.done():  # or there may be more by now, of which nothing was told
                        feed.take(events)
                for some in _some_at_once(events):
                    yield some
                    after = some[-1].sequence
                    if some[-1].build_request.status in BUILD_ENDS:
                        return
                    await asyncio.sleep(0)  # so that no page that is sent at one go holds up everybody else
                if not events:
                    await asyncio.shield(news)
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                self._feeds.pop(build_request_id, None)

    def close(self) -> None:
        """Ends all watching."""
        self._closed = True
        if self._follower is not None:
            self._follower.cancel()
        for feed in self._feeds.values():
            feed.tell()

    async def _follow(self) -> None:
        """Looks for what other processes write."""
        waits = 0
        while True:
            if all(map(self._is_ours, self._feeds)):
                self._joined.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._joined.wait(), _OURS_SECONDS if self._feeds else None)
                continue
            waits += 1
            try:
                news = await self._news_reader.read(_wait)
            except EventLogError:
                await asyncio.sleep(_WAIT_SECONDS)  # who watches is told by what they read themselves
                continue
            if news or waits % _WAITS_PER_LOOK == 0:
                await self._look()

    async def _look(self) -> None:
        """Takes what is new of others' builds, in one question for all, and wakes everybody who waits for them."""
        feeds = {build: feed for build, feed in self._feeds.items() if not self._is_ours(build)}
        newest = {build: feed.newest for build, feed in feeds.items() if feed.newest}
        try:
            found = await self._readers.read(functools.partial(_after, newest))
        except EventLogError:
            return  # looked again soon
        for build, feed in feeds.items():
            events = found.get(build)
            if events is None or len(events) == PAGE:
                feed.forget()  # who watches reads on
            else:
                feed.take(events)
            feed.tell()


def _some_at_once(events: Sequence[BuildEvent]) -> Iterator[Sequence[BuildEvent]]:
    """Returns events in pieces that are soon sent."""
    start = size = 0
    for end, event in enumerate(events):
        size += event.ByteSize()
        if end > start and (end - start == _AT_ONCE or size > _AT_ONCE_BYTES):
            yield events[start:end]
            start, size = end, event.ByteSize()
    if events:
        yield events[start:]


def _after(newest: Mapping[str, int], reader: BuildReads) -> dict[str, Sequence[BuildEvent]]:
    """Returns events of builds after the sequence numbers of those that are known, a page of each at most."""
    return {build: reader.events(build, after_sequence=sequence, limit=PAGE) for build, sequence in newest.items()}


def _wait(reader: LogFeed) -> bool:
    return reader.wait(_WAIT_SECONDS)
