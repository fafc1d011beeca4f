"""Events of builds for those who watch: from a sequence number on, without gap or double, as fast as each takes them.

The newest events of a watched build are kept, a bounded number of them, for all who watch it. Who is too slow for that
reads pages of the event log instead, so that nothing ever queues for anybody.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from databuild.errors import EventLogError
from databuild.event_log.log import Reader
from databuild.model.lifecycle import BUILD_ENDS
from databuild.service.event_pages import PAGE, EventPages
from databuild.service.reading import Readers
from databuild.v1.events_pb2 import BuildEvent

_KEPT: Final = 500
_KEPT_BYTES: Final = 4 * 1024 * 1024
_WAIT_SECONDS: Final = 0.2
_WAITS_PER_LOOK: Final = 5
"""What a writer that died had no time to tell of comes without news."""


class _Feed:
    """The newest events of one build, up to the last that is known of, and who waits for more."""

    def __init__(self) -> None:
        self.watchers = 0
        self._kept: deque[tuple[BuildEvent, int]] = deque()
        self._bytes = 0
        self._news: asyncio.Future[None] | None = None

    @property
    def newest(self) -> int:
        return self._kept[-1][0].sequence if self._kept else 0

    def after(self, sequence: int) -> Sequence[BuildEvent] | None:
        """Returns the events after a sequence number; None where the log has to be asked."""
        if not self._kept or self._kept[0][0].sequence > sequence + 1:
            return None
        missed = self.newest - sequence
        return [event for event, _ in itertools.islice(self._kept, max(len(self._kept) - missed, 0), None)]

    def take(self, events: Sequence[BuildEvent]) -> None:
        """Takes the newest durable events, some of which may be known."""
        for event in events:
            if event.sequence <= self.newest:
                continue
            if event.sequence != self.newest + 1:
                self.forget()
            size = event.ByteSize()
            self._kept.append((event, size))
            self._bytes += size
            while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._bytes > _KEPT_BYTES):
                self._bytes -= self._kept.popleft()[1]

    def forget(self) -> None:
        """Forgets all events, so that the log has to be asked."""
        self._kept.clear()
        self._bytes = 0

    def tell(self) -> None:
        """Wakes those who wait."""
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

    def __init__(self, readers: Readers, follower: Readers) -> None:
        """Takes what reads the event log.

        Args:
            readers: For events.
            follower: Of one reader, for news: what is new is new to that reader.
        """
        self._readers = readers
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

    def tell(self, events: Sequence[BuildEvent]) -> None:
        """Takes events of one build that have become durable."""
        feed = self._feeds.get(events[0].build_request_id)
        if feed is not None:
            feed.take(events)
            feed.tell()

    async def watch(self, build_request_id: str, after: int = 0) -> AsyncGenerator[BuildEvent]:
        """Returns the events of a build after a sequence number, then new ones as they come; ends with the build.

        It ends early where the service does.
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
                for event in events:
                    yield event
                    after = event.sequence
                    if event.build_request.status in BUILD_ENDS:
                        return
                    await asyncio.sleep(0)  # so that no page that is sent at one go holds up everybody else
                if not events:
                    await asyncio.shield(news)
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                self._feeds.pop(build_request_id, None)

    async def close(self) -> None:
        """Ends all watching."""
        self._closed = True
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait({self._follower})
        for feed in self._feeds.values():
            feed.tell()

    async def _follow(self) -> None:
        """Looks for what other processes write."""
        waits = 0
        while True:
            if not self._feeds:
                self._joined.clear()
                await self._joined.wait()
            waits += 1
            try:
                news = await self._news_reader.read(_wait)
            except EventLogError:
                await asyncio.sleep(_WAIT_SECONDS)  # who watches is told by what they read themselves
                continue
            if news or waits % _WAITS_PER_LOOK == 0:
                await self._look()

    async def _look(self) -> None:
        """Takes what is new, in one question for all builds, and wakes everybody who waits."""
        newest = {build: feed.newest for build, feed in self._feeds.items() if feed.newest}
        try:
            found = await self._readers.read(functools.partial(_after, newest))
        except EventLogError:
            return  # looked again soon
        for build, feed in tuple(self._feeds.items()):
            events = found.get(build)
            if events is None or len(events) == PAGE:
                feed.forget()  # who watches reads on
            else:
                feed.take(events)
            feed.tell()


def _after(newest: Mapping[str, int], reader: Reader) -> dict[str, Sequence[BuildEvent]]:
    """Returns events of builds after the sequence numbers of those that are known, a page of each at most."""
    return {build: reader.events(build, after_sequence=sequence, limit=PAGE) for build, sequence in newest.items()}


def _wait(reader: Reader) -> bool:
    return reader.wait(_WAIT_SECONDS)
