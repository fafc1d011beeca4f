"""Awaiting without being cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def uncancellable(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Awaits a coroutine to its end, and defers cancellations of the awaiting task until then.

    Raises:
        asyncio.CancelledError: The awaiting task was cancelled meanwhile.
    """
    result, cancelled = await _to_its_end(coroutine)
    if cancelled:
        raise asyncio.CancelledError
    return result


async def ignoring_cancellation(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Awaits a coroutine to its end, and ignores cancellations of the awaiting task, which is ending anyway."""
    return (await _to_its_end(coroutine))[0]


async def _to_its_end(coroutine: Coroutine[Any, Any, _T]) -> tuple[_T, bool]:
    task = asyncio.ensure_future(coroutine)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    return task.result(), cancelled
