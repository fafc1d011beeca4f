"""The pool of idle workers, with a clock and workers that a test controls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from databuild.executors.workers.pool import Limits, WorkerPool

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class FakeWorker:
    """Remembers its end, which may have to wait."""

    name: str
    served: int = 1
    usable: bool = True
    memory_bytes: int = 0
    ended: bool = False
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_end.set()

    async def end(self) -> None:
        await self.may_end.wait()
        self.ended = True


class World:
    """A pool, its clock and the memory of its machine."""

    def __init__(self, max_processes: int = 2, idle_seconds: float | None = None) -> None:
        self.now = 100.0
        self.short = False
        self.pool = WorkerPool(
            max_processes=max_processes,
            idle_seconds=idle_seconds,
            clock=lambda: self.now,
            memory_is_short=lambda _: self.short,
        )

    def idle(self, *names: str) -> list[FakeWorker]:
        """Returns workers that became idle one after another; the first letter of each name is its key."""
        workers = [FakeWorker(name) for name in names]
        for worker in workers:
            self.now += 1
            self.pool.give_back(worker.name[0], worker, Limits())
        return workers


async def ended(*workers: FakeWorker) -> list[str]:
    """Returns the names of the workers that have ended."""
    for _ in range(3):
        await asyncio.sleep(0)
    return [worker.name for worker in workers if worker.ended]


async def test_the_worker_that_was_used_last_is_taken_first() -> None:
    world = World()
    a1, b1, a2 = world.idle("a1", "b1", "a2")

    assert world.pool.take("a") is a2
    assert world.pool.take("a") is a1
    assert world.pool.take("a") is None
    assert world.pool.take("b") is b1


async def test_a_worker_that_has_died_is_not_taken() -> None:
    world = World()
    a1, a2 = world.idle("a1", "a2")
    a2.usable = False

    assert world.pool.take("a") is a1
    assert await ended(a1, a2) == ["a2"]


async def test_the_workers_that_were_not_used_for_longest_make_room() -> None:
    world = World(max_processes=4)
    workers = world.idle("a1", "b1", "a2")

    world.pool.make_room(running=0)
    assert await ended(*workers) == []
    world.pool.make_room(running=2)
    assert await ended(*workers) == ["a1", "b1"]
    world.pool.make_room(running=9)
    assert await ended(*workers) == ["a1", "b1", "a2"]


async def test_idle_workers_end_when_memory_is_short() -> None:
    world = World(max_processes=9)
    workers = world.idle("a1", "b1")
    world.short = True
    late = FakeWorker("c1")

    world.pool.make_room(running=0)
    world.pool.give_back("c", late, Limits())

    assert await ended(*workers, late) == ["a1", "b1", "c1"]


async def test_workers_end_after_their_idle_time() -> None:
    world = World(idle_seconds=10.0)
    workers = world.idle("a1", "b1")

    world.now += 9.5
    world.pool.expire()
    first = await ended(*workers)
    world.now += 1
    world.pool.expire()

    assert (first, await ended(*workers)) == (["a1"], ["a1", "b1"])


async def test_without_an_idle_time_only_short_memory_ends_workers() -> None:
    world = World()
    workers = world.idle("a1")

    world.now += 1e6
    world.pool.expire()
    before = await ended(*workers)
    world.short = True
    world.pool.expire()

    assert (before, await ended(*workers)) == ([], ["a1"])


@pytest.mark.parametrize(
    ("worker", "limits", "is_kept"),
    [
        (FakeWorker("a", served=4), Limits(max_requests=5), True),
        (FakeWorker("a", served=5), Limits(max_requests=5), False),
        (FakeWorker("a", memory_bytes=10), Limits(max_memory_bytes=10), True),
        (FakeWorker("a", memory_bytes=11), Limits(max_memory_bytes=10), False),
        (FakeWorker("a", usable=False), Limits(), False),
        (FakeWorker("a", served=10**6, memory_bytes=2**40), Limits(), True),
    ],
)
async def test_a_worker_over_a_limit_is_replaced(worker: FakeWorker, limits: Limits, is_kept: bool) -> None:
    pool = World().pool

    pool.give_back("a", worker, limits)

    assert pool.idle == int(is_kept)
    assert await ended(worker) == ([] if is_kept else ["a"])


async def test_a_discarded_worker_ends_once() -> None:
    world = World()
    a1, a2 = world.idle("a1", "a2")

    world.pool.discard(a1)
    world.pool.discard(FakeWorker("of another pool"))

    assert await ended(a1, a2) == ["a1"]
    assert world.pool.idle == 1


async def test_close_waits_for_workers_that_end() -> None:
    world = World()
    a1, a2 = world.idle("a1", "a2")
    a1.may_end.clear()
    world.pool.discard(a1)
    closing = asyncio.create_task(world.pool.close())
    before = await ended(a1, a2), closing.done()

    a1.may_end.set()
    await closing

    assert before == (["a2"], False)
    assert await ended(a1, a2) == ["a1", "a2"]
