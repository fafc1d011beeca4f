"""Cooperative computing: long loops that let their event loop run, so that a cancellation takes effect in between.

It counts time and does not know what is computed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Final, TypeVar

SLICE: Final = 512
"""How many items are worked on between two looks at the clock."""

BUDGET_SECONDS: Final = 0.02
"""How long the event loop is kept at most, give or take one slice."""

_SORTED_AT_ONCE: Final = 100_000

T = TypeVar("T")


class Pace:
    """Rests whenever the event loop has been kept for too long.

    A cancellation of the awaiting task is raised where it rests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, budget_seconds: float = BUDGET_SECONDS) -> None:
        """Takes the clock, in seconds, and how long the event loop may be kept."""
        self._clock = clock
        self._budget = budget_seconds
        self._since = clock()
        self._work = 0

    def due(self, work: int = 1) -> bool:
        """Counts work, in items, and returns whether there has been a slice of it, so that a rest may be due."""
        self._work += work
        if self._work < SLICE:
            return False
        self._work = 0
        return True

    async def rest(self) -> None:
        """Lets the event loop run where that is due."""
        if self._clock() - self._since >= self._budget:
            await asyncio.sleep(0)
            self._since = self._clock()

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Runs a computation that yields at least once in each slice of its work, and returns its result."""
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            await self.rest()


def slices(items: Iterable[T], size: int = SLICE) -> Iterable[Sequence[T]]:
    """Returns items in order, as many together as may be worked on without a rest."""
    if isinstance(items, tuple | list) and len(items) <= size:
        return (items,) if items else ()
    remaining = iter(items)
    return iter(lambda: list(itertools.islice(remaining, size)), [])


def sort(items: Iterable[str]) -> Generator[None, None, list[str]]:
    """Sorts texts; yields at least once for each part that is sorted in one go."""
    remaining = iter(items)
    parts: list[list[str]] = []
    while part := sorted(itertools.islice(remaining, _SORTED_AT_ONCE)):
        yield
        parts.append(part)
    if len(parts) < 2:
        return parts[0] if parts else []
    merged: list[str] = []
    merging = heapq.merge(*parts)
    while some := list(itertools.islice(merging, SLICE)):
        yield
        merged += some
    return merged


def run_through(steps: Generator[None, None, T]) -> T:
    """Runs a computation that yields, without a rest, and returns its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
