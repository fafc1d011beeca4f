"""Deduplication of concurrent calls, also known as single-flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_T = TypeVar("_T")


class SingleFlight(Generic[_K, _T]):
    """Deduplicates concurrent calls by key. Results are not cached."""

    def __init__(self) -> None:
        self._tasks: dict[_K, asyncio.Task[_T]] = {}

    async def run(self, key: _K, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Runs a function and returns its result, or joins the call with the same key that is in progress.

        Cancelling a caller does not cancel the function, since other callers may wait for its result.
        """
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(function(), name=f"single flight {key}")
            task.add_done_callback(lambda done: self._remove(key, done))
        return await asyncio.shield(task)

    def _remove(self, key: _K, task: asyncio.Task[_T]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            # Mark the exception as retrieved: asyncio reports it otherwise, if all callers were cancelled.
            task.exception()
