"""Wake-ups of slots that have nothing to run."""

from __future__ import annotations

import asyncio
from collections import deque


class IdleSlots:
    """Slots that sleep until a task may be ready for them.

    A wake-up is a hint: the slot looks for a task, and sleeps again if another slot was faster. A wake-up without a
    sleeping slot is lost, which is safe: a slot looks for a task before it sleeps.
    """

    def __init__(self) -> None:
        self._sleeping: deque[asyncio.Future[None]] = deque()

    async def sleep(self) -> None:
        """Waits for a wake-up."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.append(woken)
        await woken

    def wake(self, count: int) -> None:
        """Wakes up to `count` slots, longest asleep first."""
        while count > 0 and self._sleeping:
            woken = self._sleeping.popleft()
            if not woken.done():
                woken.set_result(None)
                count -= 1

    def wake_all(self) -> None:
        """Wakes every sleeping slot."""
        self.wake(len(self._sleeping))
