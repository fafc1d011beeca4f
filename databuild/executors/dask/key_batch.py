"""Calls about many runs that become one call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from databuild.executors.dask.connection import Connection, ConnectionLostError

_MAX_KEYS: Final = 1000


class KeyBatch:
    """Collects the keys of runs, and sends them together."""

    def __init__(self, call: str, connected: Callable[[], Awaitable[Connection]], delay_seconds: float) -> None:
        """Sends nothing yet.

        Args:
            call: The call of the plugin on the scheduler that takes the keys.
            connected: Waits for a connection and returns it.
            delay_seconds: The time for which keys are collected before they are sent.
        """
        self._call = call
        self._delay_seconds = delay_seconds
        self._connected = connected
        self._keys: list[str] = []
        self._has_keys = asyncio.Event()

    def add(self, key: str) -> None:
        """Sends a key soon. If the connection is lost meanwhile, the key is dropped."""
        self._keys.append(key)
        self._has_keys.set()

    async def send(self) -> None:
        """Sends keys until it is cancelled."""
        while True:
            await self._has_keys.wait()
            await asyncio.sleep(self._delay_seconds)
            await self.flush(await self._connected())

    async def flush(self, connection: Connection) -> None:
        """Sends all keys now."""
        self._has_keys.clear()
        keys, self._keys = self._keys, []
        with contextlib.suppress(ConnectionLostError):
            for start in range(0, len(keys), _MAX_KEYS):
                await connection.call(self._call, runs=keys[start : start + _MAX_KEYS])
