"""A pool of event log readers for an event loop. Each query runs in a thread, on a reader that no other query uses."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from databuild.errors import OrchestrationError, ShuttingDownError
from databuild.event_log.reads import Reader

MAX_READERS: Final = 8

_T = TypeVar("_T")


class ReaderPool:
    """Queries the event log without blocking the event loop.

    Args:
        open_reader: Opens a reader. Readers are opened on first use, and then reused.
        max_readers: The number of queries that run at once. Further queries wait.
    """

    def __init__(self, open_reader: Callable[[], Reader], max_readers: int = MAX_READERS) -> None:
        self._open = open_reader
        self._idle: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(max_readers, "reader")
        self._closed = False

    async def read(self, query: Callable[[Reader], _T]) -> _T:
        """Runs a query and returns its result. The query must not keep the reader.

        Raises:
            ShuttingDownError: The pool is closed.
        """
        if self._closed:
            raise ShuttingDownError
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, query)

    def close(self) -> None:
        """Waits for the running queries, then closes all readers. Blocks."""
        self._closed = True
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()

    def _run(self, query: Callable[[Reader], _T]) -> _T:
        try:
            reader = self._idle.get_nowait()
        except queue.Empty:
            reader = self._open()
        try:
            result = query(reader)
        except OrchestrationError:
            # The connection may be broken, so it is not reused.
            reader.close()
            raise
        except BaseException:  # the query is at fault, not the reader
            self._idle.put(reader)
            raise
        self._idle.put(reader)
        return result
