"""What several ask for at the same time, done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_T = TypeVar("_T")


class Shared(Generic[_K, _T]):
    """Answers by key. What has been answered is forgotten: who asks later has it done anew."""

    def __init__(self) -> None:
        self._under_way: dict[_K, asyncio.Task[_T]] = {}

    async def get(self, key: _K, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Returns what `make` returns, or what it does for whoever asked first; nobody who goes away stops it."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(make(), name=f"shared {key}")
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)

    def _done(self, key: _K, task: asyncio.Task[_T]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever asked may have gone
