"""A running process: its output pipes, and the pidfd that reports its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import signal
from collections.abc import Callable
from typing import Final

from databuild.executors.fd_poller import FdPoller
from databuild.executors.output import OutputSink

DESCRIPTORS_PER_RUN: Final = 8
"""The descriptors of a run: two pipes, a pidfd, two logs, the two channels of a worker, and one more while it starts or
its report is read."""

_READ_BYTES: Final = 1 << 16
_MAX_READS: Final = 64
"""The reads of a pipe at the end of a run. This is more than a pipe holds; a child that escaped the process group and
still writes must not keep the run from ending."""


class RunningProcess:
    """A process that was started.

    Attributes:
        pid: The process id.
        highest_descriptor: The highest descriptor that the start opened.
    """

    __slots__ = ("_ended", "_pidfd", "_pipes", "_poller", "_readable", "highest_descriptor", "pid")

    def __init__(
        self, start: Callable[[int, int], int], stdout: OutputSink, stderr: OutputSink, poller: FdPoller
    ) -> None:
        """Starts the process.

        Args:
            start: Starts the process with the descriptors of its standard output and error, and returns its pid.
            stdout: The destination of standard output.
            stderr: The destination of standard error.
            poller: Polls the pipes and the pidfd.

        Raises:
            OSError: The process could not be started.
        """
        self._poller = poller
        self._ended: asyncio.Future[None] | None = None
        self._pipes: dict[int, OutputSink] = {}
        self._readable: select.poll | None = None
        write_ends: list[int] = []
        try:
            for sink in (stdout, stderr):
                read_end, write_end = os.pipe2(os.O_CLOEXEC)
                self._pipes[read_end] = sink
                write_ends.append(write_end)
                # A child that escaped may hold the pipe open for ever, so reads must never block.
                os.set_blocking(read_end, False)
            self.highest_descriptor = write_ends[-1]
            self.pid = start(*write_ends)
            self._pidfd = self._open_pidfd()
        except OSError:
            for read_end in self._pipes:
                os.close(read_end)
            raise
        finally:
            # The process has its own copies. End of file arrives only when all copies are closed.
            for write_end in write_ends:
                os.close(write_end)

    def start_reading(self) -> None:
        """Reads the pipes whenever they have data from now on, so that the process does not block on a full pipe."""
        for read_end in self._pipes:
            self._poller.add(read_end, functools.partial(self._read, read_end))

    def ended(self) -> asyncio.Future[None]:
        """Returns a future that is done when the process has ended. Call it again if the future was cancelled."""
        if self._ended is not None:
            self._poller.rearm(self._pidfd)
        self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    def drain(self) -> None:
        """Reads the output that is in the pipes now."""
        if self._readable is None:
            self._readable = select.poll()
            for read_end in self._pipes:
                self._readable.register(read_end, select.POLLIN)
        # Mostly there is none, and two reads that fail would take longer.
        for read_end, _ in self._readable.poll(0):
            self._read_all(read_end)

    def finish(self) -> None:
        """Reads the rest of the output, and closes all descriptors."""
        self._poller.close(self._pidfd)
        for read_end in tuple(self._pipes):
            self._read_all(read_end)
            if read_end in self._pipes:
                self._close(read_end)

    def _read_all(self, read_end: int) -> None:
        for _ in range(_MAX_READS):
            if not self._read(read_end):
                break

    def _open_pidfd(self) -> int:
        """Opens the pidfd and adds it to the poller; kills the process if that fails."""
        pidfd = -1
        try:
            pidfd = os.pidfd_open(self.pid)
            # Once: a pidfd stays readable after the end of the process, and would be reported in every round.
            self._poller.add(pidfd, self._set_ended, once=True)
        except OSError:
            if pidfd >= 0:
                os.close(pidfd)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        return pidfd

    def _set_ended(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _read(self, read_end: int) -> bool:
        """Passes available data to the sink, and returns True if there may be more."""
        try:
            data = os.read(read_end, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._pipes[read_end].write(data)
        else:
            self._close(read_end)
        return bool(data)

    def _close(self, read_end: int) -> None:
        if self._readable is not None:
            self._readable.unregister(read_end)
        self._poller.close(read_end)
        self._pipes.pop(read_end).close()
