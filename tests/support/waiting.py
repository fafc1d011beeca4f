"""Waits for conditions, never for a time.

Tests without other processes use `turns_until`, which uses no clock. The others poll, and fail after a deadline that
no healthy machine reaches.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, overload

_T = TypeVar("_T")

_DEADLINE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.01


async def turns(count: int = 10) -> None:
    """Runs everything that is ready, and everything that becomes ready by it."""
    for _ in range(count):
        await asyncio.sleep(0)


async def turns_until(condition: Callable[[], _T]) -> _T:
    """Runs the event loop until a condition is true, and returns its value. The time limit of the test is the limit."""
    while not (value := condition()):
        await asyncio.sleep(0)
    return value


@overload
async def until(condition: Callable[[], Awaitable[_T]]) -> _T: ...


@overload
async def until(condition: Callable[[], _T]) -> _T: ...


async def until(condition: Callable[[], object]) -> object:
    """Polls a condition, which may be a coroutine, until it is true, and returns its value.

    Raises:
        AssertionError: It is not true within a minute.
    """
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, condition
        await asyncio.sleep(_POLL_SECONDS)


def wait_until(condition: Callable[[], _T]) -> _T:
    """Polls a condition until it is true, and returns its value; blocks the thread.

    Raises:
        AssertionError: It is not true within a minute.
    """
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(_POLL_SECONDS)
    return value
