"""The lag of an event loop: the time by which callbacks run late because another one blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

_INTERVAL_SECONDS: Final = 0.05
_WINDOW_SECONDS: Final = 60.0


class LoopLag:
    """The maximum lag of the running event loop over a sliding window of one to two minutes."""

    def __init__(self) -> None:
        # The maximum of the current minute and of the one before, so that a peak is seen for at least a minute.
        self._windows = [0.0, 0.0]

    @property
    def seconds(self) -> float:
        """The maximum lag."""
        return max(self._windows)

    @contextlib.asynccontextmanager
    async def measure(self) -> AsyncGenerator[None]:
        """Measures for as long as the context is open."""
        task = asyncio.create_task(self._measure(), name="loop-lag")
        try:
            yield
        finally:
            task.cancel()

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        window_start = now = loop.time()
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            before, now = now, loop.time()
            if now - window_start > _WINDOW_SECONDS:
                window_start = now
                self._windows = [0.0, self._windows[0]]
            self._windows[0] = max(self._windows[0], now - before - _INTERVAL_SECONDS)
