"""Runs coroutines that wait for nothing but what they call, without an event loop.

So it may be used where one runs already, as in a notebook.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, TypeVar

_T = TypeVar("_T")


def finish(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Runs a coroutine to its end, and returns its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    coroutine.close()
    message = "the coroutine waits for an event loop"
    raise RuntimeError(message)


def iterate(items: AsyncGenerator[_T]) -> Generator[_T]:
    """Returns what an asynchronous generator yields, as it comes."""
    try:
        while True:
            try:
                item = finish(_next(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        finish(_close(items))


async def _next(items: AsyncGenerator[_T]) -> _T:
    return await anext(items)


async def _close(items: AsyncGenerator[Any]) -> None:
    await items.aclose()
