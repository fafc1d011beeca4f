"""Readers of the event log for an event loop: each question is asked in a thread, with a reader to itself."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from databuild.errors import OrchestrationError, ShuttingDownError
from databuild.event_log.reads import Reader

READERS: Final = 8

_T = TypeVar("_T")


class Readers:
    """Asks the event log without blocking the event loop."""

    def __init__(self, open_reader: Callable[[], Reader], number: int = READERS) -> None:
        """Opens readers when they are first needed.

        Args:
            open_reader: Opens one.
            number: How many questions are answered at once.
        """
        self._open = open_reader
        self._idle: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(number, "reader")
        self._closed = False

    async def read(self, question: Callable[[Reader], _T]) -> _T:
        """Returns the answer to a question, which is called in a thread and must not keep the reader.

        Raises:
            ShuttingDownError: The readers are closed.
        """
        if self._closed:
            raise ShuttingDownError
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question)

    def close(self) -> None:
        """Waits for the questions that are being answered, and closes the readers."""
        self._closed = True
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()

    def _ask(self, question: Callable[[Reader], _T]) -> _T:
        try:
            reader = self._idle.get_nowait()
        except queue.Empty:
            reader = self._open()
        try:
            answer = question(reader)
        except OrchestrationError:
            reader.close()  # the next question gets a fresh one
            raise
        except BaseException:
            self._idle.put(reader)
            raise
        self._idle.put(reader)
        return answer
