"""Cooperative scheduling of long computations, which yield to the event loop so that cancellation takes effect.

It measures time and does not know the computation.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Final, TypeVar

SLICE: Final = 512
"""The number of items between two readings of the clock."""

BUDGET_SECONDS: Final = 0.02
"""The maximum time without yielding to the event loop, plus the time of one slice."""

_SORT_CHUNK: Final = 100_000
_MERGE_STEP: Final = 4096
"""Sorting does not yield to the event loop while it sorts a chunk, or merges so many items of each chunk."""

T = TypeVar("T")


class Pace:
    """Yields to the event loop when a computation has used up its time budget.

    A cancellation of the awaiting task is raised at such a rest.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, budget_seconds: float = BUDGET_SECONDS) -> None:
        self._clock = clock
        self._budget = budget_seconds
        self._since = clock()
        self._work = 0

    def due(self, work: int = 1) -> bool:
        """Counts items of work, and returns True once per slice: then call `rest`."""
        self._work += work
        if self._work < SLICE:
            return False
        self._work = 0
        return True

    async def rest(self) -> None:
        """Yields to the event loop if the time budget is used up."""
        if self._clock() - self._since >= self._budget:
            await asyncio.sleep(0)
            self._since = self._clock()

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Runs a generator that yields at least once per slice of work, with rests, and returns its result."""
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            await self.rest()


def slices(items: Iterable[T], size: int = SLICE) -> Iterable[Sequence[T]]:
    """Returns the items in order, in chunks of at most `size`."""
    if isinstance(items, tuple | list) and len(items) <= size:
        return (items,) if items else ()
    remaining = iter(items)
    return iter(lambda: list(itertools.islice(remaining, size)), [])


def slices_by_work(items: Iterable[T], work: Iterable[int]) -> Iterator[Sequence[T]]:
    """Yields the items in order, in chunks of at most SLICE items and not much more work than four slices.

    Args:
        items: The items.
        work: The work with each of them; a single item may be more than a chunk should be.
    """
    amounts = iter(work)
    for some in slices(items):
        works = list(itertools.islice(amounts, len(some)))
        if sum(works) < 4 * SLICE:
            yield some
            continue
        start = total = 0
        for end, amount in enumerate(works, start=1):
            total += amount
            if total >= 4 * SLICE or end == len(some):
                yield some[start:end]
                start, total = end, 0


def sort(items: Iterable[str]) -> Generator[None, None, list[str]]:
    """Returns the items sorted; yields once per chunk, since `sorted` cannot be interrupted."""
    remaining = iter(items)
    chunks: list[list[str]] = []
    while chunk := sorted(itertools.islice(remaining, _SORT_CHUNK)):
        yield
        chunks.append(chunk)
    if len(chunks) < 2:
        return chunks[0] if chunks else []
    merged: list[str] = []
    positions = [0] * len(chunks)
    limits = sorted(limit for chunk in chunks for limit in chunk[_MERGE_STEP::_MERGE_STEP])
    for limit in (*limits, None):
        yield
        piece: list[str] = []
        for number, chunk in enumerate(chunks):
            start = positions[number]
            positions[number] = len(chunk) if limit is None else bisect.bisect_left(chunk, limit, start)
            piece += chunk[start : positions[number]]
        merged += sorted(piece)  # of ascending runs, which is a merge
    return merged


def run_through(steps: Generator[None, None, T]) -> T:
    """Runs a generator without rests, and returns its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
