"""One process that runs: its pipes, and how its end is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable
from typing import Final

from databuild.executors.descriptors import Descriptors
from databuild.executors.output import Sink

DESCRIPTORS_OF_A_RUN: Final = 6
"""How many files a run has open: two pipes, its pidfd, two logs; one more while it starts or its report is read."""

_READ_BYTES: Final = 1 << 16
_MAX_READS: Final = 64
"""More than any pipe holds: who goes on writing after its run has ended is not listened to for ever."""


class Running:
    """A process that was started.

    Attributes:
        pid: Its process id.
        highest_descriptor: The highest of the descriptors that its start opened.
    """

    __slots__ = ("_descriptors", "_ended", "_pidfd", "_pipes", "highest_descriptor", "pid")

    def __init__(self, start: Callable[[int, int], int], stdout: Sink, stderr: Sink, descriptors: Descriptors) -> None:
        """Starts the process.

        Args:
            start: Starts it with descriptors to write to, and returns its pid.
            stdout: Takes its standard output.
            stderr: Takes its standard error.
            descriptors: Listens to it.

        Raises:
            OSError: It could not be started.
        """
        self._descriptors = descriptors
        self._ended: asyncio.Future[None] | None = None
        self._pipes: dict[int, Sink] = {}
        writing: list[int] = []
        try:
            for sink in (stdout, stderr):
                reading, other = os.pipe2(os.O_CLOEXEC)
                self._pipes[reading] = sink
                writing.append(other)
                os.set_blocking(reading, False)
            self.highest_descriptor = writing[-1]
            self.pid = start(*writing)
            self._pidfd = self._watch()
        except OSError:
            for reading in self._pipes:
                os.close(reading)
            raise
        finally:
            for other in writing:
                os.close(other)

    def listen(self) -> None:
        """Begins to take what the process writes while it runs, so that no pipe is full for long."""
        for reading in self._pipes:
            self._descriptors.add(reading, functools.partial(self._read, reading))

    def ended(self) -> asyncio.Future[None]:
        """Returns what is done once the process has ended; a new one where the last was cancelled."""
        if self._ended is not None:
            self._descriptors.again(self._pidfd)
        self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    def finish(self) -> None:
        """Takes what is left in the pipes, and closes everything."""
        self._descriptors.close(self._pidfd)
        for reading in tuple(self._pipes):
            for _ in range(_MAX_READS):
                if not self._read(reading):
                    break
            if reading in self._pipes:
                self._close(reading)

    def _watch(self) -> int:
        """Returns the pidfd of the process, whose end is noticed from now on; ends the process where that fails."""
        pidfd = -1
        try:
            pidfd = os.pidfd_open(self.pid)
            # Once, since it stays readable from the end of the process on.
            self._descriptors.add(pidfd, self._end, once=True)
        except OSError:
            if pidfd >= 0:
                os.close(pidfd)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        return pidfd

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _read(self, reading: int) -> bool:
        """Takes what is there, and returns whether there may be more."""
        try:
            data = os.read(reading, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._pipes[reading].write(data)
        else:
            self._close(reading)
        return bool(data)

    def _close(self, reading: int) -> None:
        self._descriptors.close(reading)
        self._pipes.pop(reading).close()
