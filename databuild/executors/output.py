"""Where what a process writes goes: into a log file that is made with its first byte, or into memory, up to a limit.

It comes through a pipe rather than being written to the file by the process: most runs write nothing, and making a
file costs a file system that the event log is being flushed to more than all the rest of a run; a process cannot fill
the disk faster than it is read; and what outlives its orchestrator cannot go on as if nothing had happened.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_MODE: Final = 0o644


class Sink(Protocol):
    """Takes what a process writes."""

    def write(self, data: bytes) -> None:
        """Takes some bytes."""
        ...

    def close(self) -> None:
        """Takes no more."""
        ...


class LogFile:
    """A file that is made with its first byte, and ends with a line that says so where it was cut at its limit.

    A file that cannot be written gets nothing more; the process is not made to fail by its log.
    """

    __slots__ = ("_descriptor", "_left", "_limit", "_path")

    def __init__(self, path: str, limit_bytes: int) -> None:
        """Takes where the file goes and how large it may become."""
        self._path = path
        self._limit = self._left = limit_bytes
        self._descriptor = -1

    def write(self, data: bytes) -> None:
        """Appends to the file, up to its limit."""
        if self._left < 0:
            return
        text = data
        if len(data) > self._left:
            mark = b"\n[databuild: the rest was cut: the log is over its limit of %d bytes]\n" % self._limit
            text = data[: self._left] + mark
        self._left -= len(data)
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, _APPEND, _MODE)
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:
            self._left = -1

    def close(self) -> None:
        """Closes the file, where there is one."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Kept:
    """The last bytes, in memory."""

    __slots__ = ("_limit", "_text")

    def __init__(self, limit_bytes: int) -> None:
        """Takes how many bytes are kept."""
        self._limit = limit_bytes
        self._text = bytearray()

    def write(self, data: bytes) -> None:
        """Keeps some bytes, and forgets older ones over the limit now and then."""
        self._text += data
        if len(self._text) > 2 * self._limit:
            del self._text[: -self._limit]

    def close(self) -> None:
        """Does nothing."""

    def text(self) -> bytes:
        """Returns what is kept."""
        return bytes(self._text[-self._limit :])
