"""An epoll set that the event loop sees as a single descriptor."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from typing import Final

_ONE_SHOT: Final = select.EPOLLIN | select.EPOLLONESHOT


class FdPoller:
    """Calls a function when a descriptor becomes readable, like `loop.add_reader` at a fraction of its cost."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, descriptor: int, callback: Callable[[], object], *, once: bool = False) -> None:
        """Calls a function whenever a descriptor is readable; with `once`, only until it is called, see `rearm`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the epoll set itself outlives event loops
            self._loop = loop
            loop.add_reader(self._epoll.fileno(), self._ready)
        self._epoll.register(descriptor, _ONE_SHOT if once else select.EPOLLIN)
        self._callbacks[descriptor] = callback

    def rearm(self, descriptor: int) -> None:
        """Calls the function of a descriptor that was added with `once` one more time."""
        self._epoll.modify(descriptor, _ONE_SHOT)

    def close(self, descriptor: int) -> None:
        """Removes a descriptor from the set, if it was added, and closes it."""
        if self._callbacks.pop(descriptor, None) is not None:
            # Closing alone does not remove it while a process that is being started still has a copy. Its events would
            # then be reported for the next descriptor with the same number (epoll(7)).
            self._epoll.unregister(descriptor)
        os.close(descriptor)

    def _ready(self) -> None:
        # Level-triggered: data that a callback does not read is reported again in the next round.
        for descriptor, _ in self._epoll.poll(0):
            callback = self._callbacks.get(descriptor)
            if callback is not None:  # an earlier callback of this round may have closed it
                callback()
