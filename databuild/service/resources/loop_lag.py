"""How late an event loop is: what it does between two looks at the clock is what everybody else waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

_LOOK_SECONDS: Final = 0.05
_WINDOW_SECONDS: Final = 60.0


class LoopLag:
    """The most that the running event loop was late, of late."""

    def __init__(self) -> None:
        self._windows = [0.0, 0.0]

    @property
    def seconds(self) -> float:
        """The most in the last minute or two."""
        return max(self._windows)

    @contextlib.asynccontextmanager
    async def measured(self) -> AsyncGenerator[None]:
        """Measures while the inside runs."""
        measuring = asyncio.create_task(self._measure(), name="loop-lag")
        try:
            yield
        finally:
            measuring.cancel()

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        begun = now = loop.time()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            before, now = now, loop.time()
            if now - begun > _WINDOW_SECONDS:
                begun = now
                self._windows = [0.0, self._windows[0]]
            self._windows[0] = max(self._windows[0], now - before - _LOOK_SECONDS)
