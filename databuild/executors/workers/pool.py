"""The idle workers of one executor: which one serves a request, and which ones give way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final, Protocol

from databuild.tuples import NamedTuple

_MIN_CHECK_SECONDS: Final = 0.1
_MAX_CHECK_SECONDS: Final = 5.0
"""Limits of the interval at which idle workers are checked while there are any."""


class PooledWorker(Protocol):
    """A worker as its pool needs it. `Worker` implements it."""

    @property
    def served(self) -> int:
        """The number of requests that it got."""
        ...

    @property
    def usable(self) -> bool:
        """True if it can get another request."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Its resident memory after the last request."""
        ...

    async def end(self) -> None:
        """Ends the worker, and returns when it has ended."""
        ...


class Limits(NamedTuple):
    """The limits after which a worker is replaced; 0 for none.

    Attributes:
        max_requests: The number of requests.
        max_memory_bytes: The resident memory after a request.
    """

    max_requests: int = 0
    max_memory_bytes: int = 0


class _Idle(NamedTuple):
    key: Hashable
    worker: PooledWorker
    since: float


class WorkerPool:
    """The idle workers, each with a key: only a request with an equal key is served by it."""

    def __init__(
        self,
        *,
        max_processes: int,
        idle_seconds: float | None,
        clock: Callable[[], float],
        memory_is_short: Callable[[float], bool],
    ) -> None:
        """Holds no worker yet.

        Args:
            max_processes: The maximum number of running processes and idle workers together.
            idle_seconds: The time after which an idle worker ends; None to keep it until `close`.
            clock: Returns the monotonic time in seconds.
            memory_is_short: Returns True at a time at which no idle worker should be kept.
        """
        self._max_processes = max_processes
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._memory_is_short = memory_is_short
        self._idle: list[_Idle] = []  # the one that was used last is at the end
        self._ending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> int:
        """The number of idle workers."""
        return len(self._idle)

    def take(self, key: Hashable) -> PooledWorker | None:
        """Removes and returns the usable worker with a key that was used last; None if there is none."""
        for idle in reversed(tuple(self._idle)):
            if idle.key == key:
                self._idle.remove(idle)
                if idle.worker.usable:
                    return idle.worker
                self._end(idle.worker)
        return None

    def make_room(self, running: int) -> None:
        """Ends the workers that were not used for longest, so that there is room for one more process.

        Args:
            running: The number of processes that run, without that one.
        """
        now = self._clock()
        excess = len(self._idle) if self._memory_is_short(now) else running + 1 + len(self._idle) - self._max_processes
        for idle in self._idle[: max(excess, 0)]:
            self._remove(idle)

    def give_back(self, key: Hashable, worker: PooledWorker, limits: Limits) -> None:
        """Makes a worker idle after a request, or ends it if it is unusable or over a limit."""
        now = self._clock()
        full = (
            not worker.usable
            or 0 < limits.max_requests <= worker.served
            or 0 < limits.max_memory_bytes < worker.memory_bytes
        )
        if full or self._memory_is_short(now):
            self._end(worker)
            return
        self._idle.append(_Idle(key, worker, now))
        if self._timer is None:
            self._wait()

    def discard(self, worker: PooledWorker) -> None:
        """Ends an idle worker that has become unusable."""
        for idle in self._idle:
            if idle.worker is worker:
                self._remove(idle)
                return

    def give_way(self) -> None:
        """Ends all idle workers, since the machine lacks resources."""
        for idle in tuple(self._idle):
            self._remove(idle)

    def expire(self) -> None:
        """Ends the workers that were idle for too long, and all of them if memory is short."""
        now = self._clock()
        if self._memory_is_short(now):
            self.give_way()
        elif self._idle_seconds is not None:
            for idle in tuple(self._idle):
                if now >= idle.since + self._idle_seconds:
                    self._remove(idle)

    async def close(self) -> None:
        """Ends all idle workers, and returns when they and those that were ended before have ended."""
        self.give_way()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ending:
            await asyncio.wait(self._ending)

    def _remove(self, idle: _Idle) -> None:
        self._idle.remove(idle)
        self._end(idle.worker)

    def _end(self, worker: PooledWorker) -> None:
        task = asyncio.get_running_loop().create_task(worker.end(), name="end-of-worker")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _wait(self) -> None:
        seconds = _MAX_CHECK_SECONDS if self._idle_seconds is None else min(self._idle_seconds, _MAX_CHECK_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(max(seconds, _MIN_CHECK_SECONDS), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.expire()
        if self._idle:
            self._wait()
