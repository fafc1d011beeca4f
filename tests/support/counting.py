"""Counts executed lines of our code, so that tests can compare amounts of work instead of times."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import databuild

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_T = TypeVar("_T")


class Lines:
    """Numbers of executed lines of our code: in total, and the maximum between two turns of the event loop."""

    def __init__(self) -> None:
        self.total = 0
        self.longest = 0
        self.stretch = 0

    def turn(self) -> None:
        self.longest = max(self.longest, self.stretch)
        self.stretch = 0


@contextmanager
def lines_of_ours() -> Iterator[Lines]:
    """Counts lines while the body runs."""
    lines = Lines()
    folder = databuild.__path__[0]

    def trace(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        if event == "call":
            return trace if frame.f_code.co_filename.startswith(folder) else None
        if event == "line":
            lines.total += 1
            lines.stretch += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)
        lines.turn()


def run_counted(coroutine: Coroutine[object, object, _T]) -> tuple[_T, Lines]:
    """Runs a coroutine to its end, and returns its result and the lines that ran."""

    results: list[_T] = []

    async def main() -> None:
        async def turns() -> None:
            while True:
                lines.turn()
                await asyncio.sleep(0)

        turning = asyncio.ensure_future(turns())
        try:
            results.append(await coroutine)
        finally:
            turning.cancel()

    with lines_of_ours() as lines:
        asyncio.run(main())  # would format a result that the coroutine returns as a string, line by line
    return results[0], lines


class CountedText(str):
    """A text that counts the comparisons of all such texts."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        CountedText.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__
