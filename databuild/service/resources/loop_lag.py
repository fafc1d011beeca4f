"""How late an event loop is: what it does between two looks at the clock is what everybody else waits for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

_LOOK_SECONDS: Final = 0.05
_WINDOW_SECONDS: Final = 60.0


class LoopLag:
    """The most that the running event loop was late, of late."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Measures nothing yet.

        Args:
            clock: Returns the time in seconds.
            sleep: Waits for so many seconds, or longer where the event loop is late.
        """
        self._clock = clock
        self._sleep = sleep
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
        begun = now = self._clock()
        while True:
            await self._sleep(_LOOK_SECONDS)
            before, now = now, self._clock()
            if now - begun > _WINDOW_SECONDS:
                begun = now
                self._windows = [0.0, self._windows[0]]
            self._windows[0] = max(self._windows[0], now - before - _LOOK_SECONDS)
