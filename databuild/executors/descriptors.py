"""Calls functions when descriptors can be read: one epoll set, which the event loop sees as a single descriptor."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from typing import Final

_ONCE: Final = select.EPOLLIN | select.EPOLLONESHOT


class Descriptors:
    """Calls a function when a descriptor can be read: as `loop.add_reader`, for a fraction of its cost."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], object]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, descriptor: int, call: Callable[[], object], *, once: bool = False) -> None:
        """Begins to call a function when there is something to read: whenever, or once only."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.add_reader(self._epoll.fileno(), self._ready)
        self._epoll.register(descriptor, _ONCE if once else select.EPOLLIN)
        self._calls[descriptor] = call

    def again(self, descriptor: int) -> None:
        """Calls the function of a descriptor that was added for one call once more."""
        self._epoll.modify(descriptor, _ONCE)

    def close(self, descriptor: int) -> None:
        """Closes a descriptor.

        It is taken out of the epoll set first: a process that is just being started may still have it open, and its
        events would be taken for those of the next descriptor with that number (epoll(7)).
        """
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
        os.close(descriptor)

    def _ready(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            call = self._calls.get(descriptor)
            if call is not None:
                call()
