"""Many watchers of one build: each gets all events, at little cost for the event log and the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar, cast

import pytest

from databuild.errors import EventLogError
from databuild.service.builds.event_feeds import EventFeeds
from databuild.service.builds.event_pages import PAGE_EVENTS, EventPages
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


def event(sequence: int, *, last: bool = False, size: int = 0) -> ev.BuildEvent:
    found = ev.BuildEvent(event_id=f"b/{sequence}", build_request_id="b", sequence=sequence)
    if last:
        found.build_request.status = ev.BUILD_STATUS_COMPLETED
    else:
        found.partition.CopyFrom(ev.PartitionEvent(ref="r" * size, status=pt.PARTITION_STATUS_BUILDING))
    return found


_T = TypeVar("_T")


class FakeLog:
    """Remembers the positions of its reads. It serves as the pool of readers and as the reader."""

    def __init__(self, count: int = 0, *, ended: bool = True) -> None:
        self.log = [event(number, last=ended and number == count) for number in range(1, count + 1)]
        self.read_after: list[int] = []
        self.looks = 0
        self.broken = False

    async def read(self, question: Callable[[FakeLog], _T]) -> _T:
        await asyncio.sleep(0)
        return question(self)

    def events(self, _build: str, *, after_sequence: int, limit: int) -> list[ev.BuildEvent]:
        self.read_after.append(after_sequence)
        if self.broken:
            raise EventLogError("it is gone")
        return self.log[after_sequence : after_sequence + limit]


class Follower:
    """Notifies of writes by other processes when the test requests it."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[bool] = asyncio.Queue()
        self.asked = 0

    async def read(self, _question: object) -> bool:
        self.asked += 1
        return await self.news.get()


class Watching(Protocol):
    """Makes feeds over a log, which are closed after the test."""

    def __call__(
        self,
        log: FakeLog,
        follower: Follower | None = None,
        runs_here: Callable[[str], bool] = ...,
        **seconds: float,
    ) -> EventFeeds: ...


@pytest.fixture
async def watching() -> AsyncIterator[Watching]:
    made: list[EventFeeds] = []

    def make(
        log: FakeLog,
        follower: Follower | None = None,
        runs_here: Callable[[str], bool] = lambda _build: False,
        **seconds: float,
    ) -> EventFeeds:
        readers, notifications = cast("ReaderPool", log), cast("ReaderPool", follower or Follower())
        made.append(EventFeeds(readers, notifications, runs_here, **seconds))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def sequences(watching: EventFeeds, after: int = 0) -> list[int]:
    return [sequence for some in await collect(watching, after) for sequence in some]


async def collect(watching: EventFeeds, after: int = 0) -> list[list[int]]:
    return [[found.sequence for found in some] async for some in watching.watch("b", after)]


async def test_a_long_log_is_read_to_its_end_without_waiting_for_news(watching: Watching) -> None:
    log = FakeLog(5 * PAGE_EVENTS + 7)

    assert await sequences(watching(log)) == list(range(1, 5 * PAGE_EVENTS + 8))
    assert log.read_after == [number * PAGE_EVENTS for number in range(6)]


async def test_all_who_read_a_log_at_the_same_time_read_each_page_once(watching: Watching) -> None:
    log = FakeLog(3 * PAGE_EVENTS + 7)
    one = watching(log)

    seen = await asyncio.gather(*(sequences(one, after) for after in range(200)))

    assert seen == [list(range(after + 1, 3 * PAGE_EVENTS + 8)) for after in range(200)]
    assert len(log.read_after) <= 2 * 4


async def test_those_who_wait_at_the_end_of_a_log_look_together(watching: Watching) -> None:
    follower = Follower()
    log = FakeLog(7, ended=False)
    one = watching(log, follower)
    watchers = [asyncio.create_task(sequences(one, 7)) for _ in range(200)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert log.read_after == [0]

    log.log.append(event(8, last=True))
    follower.news.put_nowait(True)

    assert await asyncio.gather(*watchers) == [[8]] * 200
    assert log.read_after == [0, 0]


async def test_notified_events_are_served_without_a_read_of_the_log(watching: Watching) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log)
    watchers = [asyncio.create_task(sequences(one)) for _ in range(200)]
    while log.read_after != [0]:
        await asyncio.sleep(0)

    for number in range(2, 60):
        one.notify([event(number)])
        await asyncio.sleep(0)
    one.notify([event(60, last=True)])

    assert await asyncio.gather(*watchers) == [list(range(1, 61))] * 200
    assert log.read_after == [0]


async def test_events_of_other_processes_are_not_polled_while_all_watched_builds_are_ours(watching: Watching) -> None:
    ours = {"b"}
    checks = 0

    def runs_here(build: str) -> bool:
        nonlocal checks
        checks += 1
        return build in ours

    follower = Follower()
    follower.news.put_nowait(True)
    log = FakeLog(1, ended=False)
    one = watching(log, follower, runs_here, ownership_seconds=0)
    watcher = asyncio.create_task(sequences(one))
    while checks < 3:
        await asyncio.sleep(0)
    one.notify([event(2)])
    while checks < 6:
        await asyncio.sleep(0)
    assert follower.asked == 0

    log.log = FakeLog(4).log  # as if another process ended the build
    ours.clear()

    assert await watcher == [1, 2, 3, 4]


async def test_a_build_of_this_process_is_not_read_again_beside_a_build_of_others(watching: Watching) -> None:
    follower = Follower()
    log = FakeLog(7, ended=False)
    one = watching(log, follower, {"b"}.__contains__)
    of_others = asyncio.create_task(anext(others := one.watch("c", 7)))
    watcher = asyncio.create_task(anext(ours := one.watch("b", 7)))
    while follower.asked == 0 or len(log.read_after) < 2:
        await asyncio.sleep(0)

    log.log.append(event(8, last=True))
    follower.news.put_nowait(True)

    assert await of_others == [log.log[-1]]
    assert not watcher.done()
    one.notify([log.log[-1]])
    assert await watcher == [log.log[-1]]
    await others.aclose()
    await ours.aclose()


async def test_events_within_a_short_interval_arrive_together_and_the_end_immediately(watching: Watching) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    watcher = asyncio.create_task(collect(one))
    while log.read_after != [0]:
        await asyncio.sleep(0)

    for number in range(2, 9):
        one.notify([event(number)])
        for _ in range(10):
            await asyncio.sleep(0)
    one.notify([event(9), event(10, last=True)])

    assert await watcher == [[1], [2], [3, 4, 5, 6, 7, 8, 9, 10]]


async def test_very_many_events_arrive_before_the_interval_has_passed_and_the_buffer_loses_some(
    watching: Watching,
) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    events = one.watch("b")
    arrived = [found.sequence for found in await anext(events)]
    waiting = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    for number in range(2, 5002):
        one.notify([event(number)])
        if number % 100 == 0:
            await asyncio.sleep(0)
            while waiting.done():
                arrived += [found.sequence for found in waiting.result()]
                waiting = asyncio.create_task(anext(events))
                await asyncio.sleep(0)

    assert arrived == list(range(1, len(arrived) + 1))
    assert len(arrived) > 3500
    assert log.read_after == [0]
    waiting.cancel()
    await asyncio.wait([waiting])
    await events.aclose()


@pytest.mark.parametrize(("watchers", "intervals"), [(1, 1), (3, 3), (20, 10)])
async def test_many_watchers_are_woken_less_often(watching: Watching, watchers: int, intervals: int) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    waiting = [asyncio.create_task(collect(one, 1)) for _ in range(watchers)]
    for _ in range(10):
        await asyncio.sleep(0)
    one.notify([event(2)])
    woken = asyncio.get_running_loop().time()
    one.notify([event(3)])

    timer = one._feeds["b"]._timer
    assert timer is not None
    assert (timer.when() - woken) / 600 == pytest.approx(intervals, abs=0.1)
    one.notify([event(4, last=True)])
    await asyncio.gather(*waiting)


@pytest.mark.parametrize(("events", "watchers", "intervals"), [(19, 1, 1), (20, 1, 5), (20, 3, 5), (20, 7, 7)])
async def test_watchers_are_woken_less_often_after_many_events(
    watching: Watching, events: int, watchers: int, intervals: int
) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    waiting = [asyncio.create_task(collect(one, 1)) for _ in range(watchers)]
    for _ in range(10):
        await asyncio.sleep(0)
    for number in range(2, 3 + events):  # the first wakes them
        one.notify([event(number)])
    one._feeds["b"].wake()
    woken = asyncio.get_running_loop().time()
    one.notify([event(3 + events)])

    timer = one._feeds["b"]._timer
    assert timer is not None
    assert (timer.when() - woken) / 600 == pytest.approx(intervals, abs=0.1)
    one.notify([event(4 + events, last=True)])
    for seen in await asyncio.gather(*waiting):
        assert [number for batch in seen for number in batch] == list(range(2, 5 + events))


@pytest.mark.parametrize(("watchers", "intervals"), [(1, 5), (7, 7)])
async def test_many_events_at_once_arrive_after_an_interval(watching: Watching, watchers: int, intervals: int) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    waiting = [asyncio.create_task(collect(one, 1)) for _ in range(watchers)]
    for _ in range(10):
        await asyncio.sleep(0)
    now = asyncio.get_running_loop().time()
    one.notify([event(number) for number in range(2, 22)])
    one.notify([event(22)])

    timer = one._feeds["b"]._timer
    assert timer is not None
    assert (timer.when() - now) / 600 == pytest.approx(intervals, abs=0.1)
    one.notify([event(23, last=True)])
    assert await asyncio.gather(*waiting) == [[list(range(2, 24))]] * watchers


async def test_watchers_that_have_read_equally_far_share_batches(watching: Watching) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log)

    async def batches() -> list[Sequence[ev.BuildEvent]]:
        return [batch async for batch in one.watch("b", 1)]

    waiting = [asyncio.create_task(batches()) for _ in range(10)]
    for number in range(2, 9):
        for _ in range(10):
            await asyncio.sleep(0)
        one.notify([event(number, last=number == 8)])

    first, *others = await asyncio.gather(*waiting)
    assert [one.sequence for batch in first for one in batch] == list(range(2, 9))
    for seen in others:
        assert list(map(id, seen)) == list(map(id, first))


async def test_large_events_are_served_one_by_one_and_batches_have_a_limited_size(watching: Watching) -> None:
    log = FakeLog()
    sizes = [200_000, 10, 10, 60_000, *[40_000] * 8, 70_000, 10]
    log.log = [event(number, size=size) for number, size in enumerate(sizes, 1)]
    log.log.append(event(len(sizes) + 1, last=True))

    assert await collect(watching(log)) == [[1], [2, 3], [4], [5, 6, 7, 8, 9, 10], [11, 12], [13], [14, 15]]


async def test_events_are_added_while_no_watcher_waits_and_none_is_missing(watching: Watching) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    events = one.watch("b")
    seen = [found.sequence for found in await anext(events)]

    for number in range(2, 1499, 3):
        one.notify([event(number), event(number + 1), event(number + 2)])
    one.notify([event(1497), event(1498), event(1499), event(1500), event(1501, last=True)])  # two of them again

    seen += [found.sequence async for some in events for found in some]
    assert seen == list(range(1, 1502))
    assert log.read_after == [0]


async def test_events_for_which_no_watcher_comes_back_have_a_limited_size(watching: Watching) -> None:
    log = FakeLog(1, ended=False)
    one = watching(log, wake_seconds=600.0)
    events = one.watch("b")
    await anext(events)

    for number in range(2, 3002):
        one.notify([event(number, size=20_000)])

    feed = one._feeds["b"]
    assert len(feed._buffer) + sum(map(len, feed._added)) < 1750
    await events.aclose()


async def test_a_gap_in_what_is_told_is_filled_from_the_log(watching: Watching) -> None:
    log = FakeLog(60)
    one = watching(log)
    watcher = asyncio.create_task(sequences(one, 10))
    await asyncio.sleep(0)

    one.notify([event(60, last=True)])

    assert await watcher == list(range(11, 61))


async def test_very_much_that_another_process_wrote_is_read_page_by_page(watching: Watching) -> None:
    follower = Follower()
    log = FakeLog(7, ended=False)
    one = watching(log, follower)
    watcher = asyncio.create_task(sequences(one))
    while not log.read_after:
        await asyncio.sleep(0)

    log.log = FakeLog(3 * PAGE_EVENTS).log
    follower.news.put_nowait(True)

    assert await watcher == list(range(1, 3 * PAGE_EVENTS + 1))


async def test_large_events_are_not_kept_for_those_who_come_late(watching: Watching) -> None:
    log = FakeLog()
    one = watching(log)
    first = one.watch("b")
    watcher = asyncio.create_task(anext(first))
    await asyncio.sleep(0)
    log.log = [*(event(number, size=1 << 20) for number in range(1, 20)), event(20, last=True)]

    for found in log.log:
        one.notify([found])

    assert (await watcher)[0].sequence == 1
    assert await sequences(one) == list(range(1, 21))
    assert 0 in log.read_after, "four of them are kept, and the others are read"
    await first.aclose()


async def test_between_batches_others_have_their_turn(watching: Watching) -> None:
    log = FakeLog(5 * PAGE_EVENTS)
    one = watching(log)
    seen = {"one": 0, "other": 0}

    async def watch(name: str) -> None:
        async for events in one.watch("b"):
            seen[name] = events[-1].sequence
            assert abs(seen["one"] - seen["other"]) <= 2 * PAGE_EVENTS

    await asyncio.gather(watch("one"), watch("other"))

    assert seen == {"one": 5 * PAGE_EVENTS, "other": 5 * PAGE_EVENTS}


async def test_a_watcher_that_leaves_takes_nothing_from_the_others(watching: Watching) -> None:
    log = FakeLog(50)
    one = watching(log)
    first = asyncio.create_task(sequences(one))
    second = asyncio.create_task(sequences(one))
    for _ in range(2):
        await asyncio.sleep(0)

    first.cancel()

    assert await second == list(range(1, 51))
    assert log.read_after == [0]


async def test_a_log_that_cannot_be_read_is_told_to_all_and_asked_again_later() -> None:
    log = FakeLog(50)
    pages = EventPages(cast("ReaderPool", log))
    log.broken = True

    results = await asyncio.gather(*(pages.after("b", 0) for _ in range(3)), return_exceptions=True)
    log.broken = False

    assert [type(result) for result in results] == [EventLogError] * 3
    assert len((await pages.after("b", 0)).events) == 50


async def test_pages_that_cannot_change_are_kept_a_few_of_them() -> None:
    log = FakeLog(10 * PAGE_EVENTS)
    pages = EventPages(cast("ReaderPool", log))

    for _ in range(2):
        for number in (0, 1):
            page = await pages.after("b", number * PAGE_EVENTS + 3)
            assert [found.sequence for found in page.events] == list(
                range(number * PAGE_EVENTS + 4, (number + 1) * PAGE_EVENTS + 1)
            )
    assert log.read_after == [0, PAGE_EVENTS]
    for number in range(10):
        await pages.after("b", number * PAGE_EVENTS)
    await pages.after("b", 0)
    assert log.read_after.count(0) == 2
