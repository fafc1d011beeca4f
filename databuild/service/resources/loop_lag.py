"""The lag of an event loop: the time by which callbacks run late because another one blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

_INTERVAL_SECONDS: Final = 0.05
_WINDOW_SECONDS: Final = 60.0


class LoopLag:
    """The maximum lag of the running event loop over a sliding window of one to two minutes.

    Args:
        clock: Returns the time in seconds.
        sleep: Waits for so many seconds, or longer if the event loop is late.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
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
        window_start = now = self._clock()
        while True:
            await self._sleep(_INTERVAL_SECONDS)
            before, now = now, self._clock()
            if now - window_start > _WINDOW_SECONDS:
                window_start = now
                self._windows = [0.0, self._windows[0]]
            self._windows[0] = max(self._windows[0], now - before - _INTERVAL_SECONDS)
