"""The order in which builds get slots."""

from __future__ import annotations

import asyncio

import pytest

from databuild.errors import OverloadedError
from databuild.service.builds.build_queue import BuildQueue


class Line:
    """A queue, and the builds that have had a slot so far."""

    def __init__(self, at_once: int = 1, max_waiting: int = 100) -> None:
        self.queue = BuildQueue(at_once, max_waiting)
        self.turns: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, *builds: str) -> None:
        """Queues builds, each named after its submitter and a number."""
        for build in builds:
            self.tasks[build] = asyncio.create_task(self._wait(build))
            await asyncio.sleep(0)

    async def _wait(self, build: str) -> None:
        author = await self.queue.acquire(build, build[0])
        self.turns.append(f"{build} cancelled by {author}" if author else build)

    async def done(self, times: int = 1) -> None:
        for _ in range(times):
            self.queue.release()
            await asyncio.sleep(0)


async def test_so_many_have_their_turn_at_once() -> None:
    line = Line(at_once=2)
    await line.join("a1", "a2", "a3")

    assert line.turns == ["a1", "a2"]
    await line.done()
    assert line.turns == ["a1", "a2", "a3"]
    assert len(line.queue) == 0


async def test_the_builds_of_one_submitter_keep_their_order() -> None:
    line = Line()
    await line.join("a1", "a2", "a3", "a4")
    await line.done(3)

    assert line.turns == ["a1", "a2", "a3", "a4"]


async def test_submitters_take_turns_however_many_builds_they_have() -> None:
    line = Line()
    await line.join("a1", "a2", "a3", "a4", "b1", "c1", "b2")
    expected = line.queue.order

    await line.done(6)

    assert line.turns == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
    assert line.turns[1:] == expected


async def test_the_position_of_a_build_is_that_in_the_order() -> None:
    line = Line(at_once=2)
    await line.join("a1", "b1", "b2", "a2", "c1", "b3", "b4", "a3", "b5", "d1")
    line.queue.cancel("b3", "ann")
    for _ in range(4):
        builds = line.queue.order
        assert [line.queue.position(build) for build in builds] == list(range(1, len(builds) + 1))
        await line.done()

    assert (line.queue.position("a1"), line.queue.position("b3"), line.queue.position("nobody")) == (0, 0, 0)


async def test_a_submitter_who_comes_later_waits_for_one_build_of_the_others_at_most() -> None:
    line = Line()
    await line.join("a1", "a2", "a3", "a4")
    await line.done()
    await line.join("b1")
    await line.done(2)

    assert line.turns == ["a1", "a2", "a3", "b1"]


async def test_a_cancelled_build_leaves_without_a_turn() -> None:
    line = Line()
    await line.join("a1", "a2", "a3")
    line.queue.cancel("a2", "ann")
    line.queue.cancel("a1", "ann")
    line.queue.cancel("nobody", "ann")
    await line.done()

    assert line.turns == ["a1", "a2 cancelled by ann", "a3"]


async def test_a_build_that_gives_up_waiting_takes_no_turn() -> None:
    line = Line()
    await line.join("a1", "a2", "a3")
    line.tasks["a2"].cancel()
    await asyncio.sleep(0)
    await line.done()

    assert line.turns == ["a1", "a3"]
    assert line.queue.order == []


async def test_a_turn_that_comes_as_its_build_gives_up_goes_to_the_next() -> None:
    line = Line()
    await line.join("a1", "a2", "a3")
    line.queue.release()
    line.tasks["a2"].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert line.turns == ["a1", "a3"]


async def test_when_it_is_stopped_nobody_has_a_turn_any_more() -> None:
    line = Line()
    await line.join("a1", "a2")
    line.queue.stop()
    await line.done()

    assert line.turns == ["a1"]
    line.queue.cancel("a2", "ann")
    await asyncio.sleep(0)
    assert line.turns == ["a1", "a2 cancelled by ann"]


async def test_no_more_may_wait_than_there_is_room_for() -> None:
    line = Line(max_waiting=1)
    await line.join("a1")
    line.queue.check_capacity()
    await line.join("a2")

    with pytest.raises(OverloadedError, match="1 builds are in the queue"):
        line.queue.check_capacity()
    await line.done()
