"""Destinations for the output of a process: a log file that is created at its first byte, or memory, up to a limit.

Output arrives through a pipe; the process does not write to the file itself. There are three reasons. Most runs write
nothing, and creating a file on a file system to which the event log is being flushed costs more than the rest of a run.
A process cannot fill the disk faster than its pipe is read. A process that outlives its orchestrator gets SIGPIPE when
it writes.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_MODE: Final = 0o644
_MAX_TAIL_BYTES: Final = 256 * 1024
_CUT_MESSAGE: Final = b"\n[databuild: %d bytes were cut here: the log is over its limit of %d bytes]\n"


class OutputSink(Protocol):
    """A destination for the output of a process."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class LogFile:
    """A file that is created at its first byte; of output over its limit, it gets the beginning and the end.

    The end is kept because it has the error that ended the job; it stays in memory until `close`. After a write error
    the rest is dropped: a full disk must not make the process fail.
    """

    __slots__ = ("_descriptor", "_excess", "_head_left", "_limit", "_path", "_tail")

    def __init__(self, path: str, limit_bytes: int) -> None:
        """Opens nothing yet.

        Args:
            path: The path of the file.
            limit_bytes: The maximum size, without the line that reports a cut.
        """
        self._path = path
        self._limit = limit_bytes
        self._tail = TailBuffer(min(limit_bytes // 4, _MAX_TAIL_BYTES))
        self._head_left = limit_bytes - self._tail.limit_bytes
        self._excess = 0
        self._descriptor = -1

    def write(self, data: bytes) -> None:
        if len(data) <= self._head_left:
            self._head_left -= len(data)
            self._append(data)
            return
        head, excess = data[: self._head_left], data[self._head_left :]
        self._head_left = 0
        self._append(head)
        self._excess += len(excess)
        self._tail.write(excess)

    def close(self) -> None:
        """Writes the end of the output that was over the limit, and closes the file."""
        tail = self._tail.content()
        if tail:
            cut = self._excess - len(tail)
            self._append((_CUT_MESSAGE % (cut, self._limit) if cut else b"") + tail)
            self._tail.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes) -> None:
        if not data or self._path == "":
            return
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, _APPEND, _MODE)
            while data:  # a write may be partial
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._path = ""


class TailBuffer:
    """The last bytes of the output, in memory."""

    __slots__ = ("_bytes", "_limit")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._bytes = bytearray()

    def write(self, data: bytes) -> None:
        self._bytes += data
        if len(self._bytes) > 2 * self._limit:  # trimming at every write would copy the buffer each time
            del self._bytes[: len(self._bytes) - self._limit]

    def close(self) -> None:
        """Does nothing: the content stays."""

    @property
    def limit_bytes(self) -> int:
        """The maximum size of the content."""
        return self._limit

    def content(self) -> bytes:
        """Returns the last bytes that were written, up to the limit."""
        return bytes(self._bytes[-self._limit :]) if self._limit else b""

    def clear(self) -> None:
        """Drops the content."""
        self._bytes.clear()
