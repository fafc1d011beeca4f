"""Runs coroutines and asynchronous generators to their ends without an event loop.

This works if they await nothing but each other, as the coroutines over a `BlockingTransport` do. It also works in a
thread that already runs an event loop, such as that of a notebook, where `asyncio.run` would raise.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_sync(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Runs a coroutine to its end, and returns its result.

    Raises:
        RuntimeError: The coroutine waits for an event loop.
    """
    try:
        # A coroutine that never suspends ends within the first step. Its result comes with StopIteration (PEP 492).
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    coroutine.close()
    message = "the coroutine waits for an event loop"
    raise RuntimeError(message)


def iterate_sync(items: AsyncGenerator[_T]) -> Generator[_T]:
    """Yields the items of an asynchronous generator as they come, and closes it in the end."""
    try:
        while True:
            try:
                item = run_sync(_next(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run_sync(_close(items))


# anext() and aclose() return awaitables that are not coroutines, so they cannot be passed to run_sync.
async def _next(items: AsyncGenerator[_T]) -> _T:
    return await anext(items)


async def _close(items: AsyncGenerator[Any]) -> None:
    await items.aclose()
