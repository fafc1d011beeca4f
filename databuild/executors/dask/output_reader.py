"""Reads output and reports of runs from their workers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from databuild.executors.dask.connection import Connection, ConnectionLostError
from databuild.executors.dask.delivery import STREAMS
from databuild.executors.dask.runs import Run

_PART_BYTES: Final = 1 << 20

_MAX_READS: Final = 8
"""The number of parts in memory at once."""

_STDERR: Final = 1
_MISSING: Final = b"\n[databuild: %d bytes are missing here: the worker that had them has gone]\n"


class OutputReader:
    """Reads what runs have written, in parts, each byte once."""

    def __init__(self, connected: Callable[[], Awaitable[Connection]], wait_seconds: float) -> None:
        """Reads nothing yet.

        Args:
            connected: Waits for a connection and returns it.
            wait_seconds: The time after which what has not been read is given up while there is no connection.
        """
        self._connected = connected
        self._wait_seconds = wait_seconds
        self._slots = asyncio.Semaphore(_MAX_READS)

    def news(self, run: Run, sizes: list[int]) -> None:
        """Reads what is new while the run continues."""
        run.sizes = sizes
        if run.pulling is None or run.pulling.done():
            run.pulling = asyncio.create_task(self._pull(run))

    def catch_up(self, run: Run) -> None:
        """Reads what there is of a run whose sizes were told to another client, or to none."""
        self.news(run, [sys.maxsize] * len(STREAMS))

    async def finish(self, run: Run, message: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Reads the rest after the end of a run, and returns the output that no file is for."""
        if run.pulling is not None:
            await asyncio.wait([run.pulling])
        content = message.get("content")
        if content is not None:
            for stream, data in enumerate(content):
                rest = data[run.delivery.positions[stream] :]
                if rest:
                    run.delivery.write(stream, rest)
        elif "sizes" in message:
            run.sizes = message["sizes"]
            while not await self._pull(run):
                pass
            for stream in (0, _STDERR):
                missing = run.sizes[stream] - run.delivery.positions[stream]
                if missing > 0:
                    run.delivery.write(stream, _MISSING % missing)
        return run.delivery.finish()

    async def _pull(self, run: Run) -> bool:
        """Reads up to the known sizes, and returns False if another connection may have the rest."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                connection = await self._connected()
        except TimeoutError:
            return True
        try:
            for stream, name in enumerate(STREAMS):
                while (left := run.sizes[stream] - run.delivery.positions[stream]) > 0:
                    async with self._slots:
                        data = await connection.call_worker(
                            run.worker,
                            "read",
                            run=run.key,
                            stream=name,
                            offset=run.delivery.positions[stream],
                            size=min(left, _PART_BYTES),
                        )
                    if not data:  # the worker has gone, or the job has removed its report
                        break
                    run.delivery.write(stream, data)
        except ConnectionLostError:
            await asyncio.sleep(0.1)
            return False
        return True
