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
_END_BYTES: Final = 256 * 1024
_CUT: Final = b"\n[databuild: %d bytes were cut here: the log is over its limit of %d bytes]\n"


class Sink(Protocol):
    """Takes what a process writes."""

    def write(self, data: bytes) -> None:
        """Takes some bytes."""
        ...

    def close(self) -> None:
        """Takes no more."""
        ...


class LogFile:
    """A file that is made with its first byte, and has the beginning and the end of what is over its limit.

    The end has the error that a job died of. It is held in memory until the process has ended. A file that cannot be
    written gets nothing more; the process is not made to fail by its log.
    """

    __slots__ = ("_cut", "_descriptor", "_end", "_left", "_limit", "_path")

    def __init__(self, path: str, limit_bytes: int) -> None:
        """Opens nothing yet.

        Args:
            path: Where the file goes.
            limit_bytes: How large it may become, a line about what was cut aside.
        """
        self._path = path
        self._limit = limit_bytes
        self._end = Kept(min(limit_bytes // 4, _END_BYTES))
        self._left = limit_bytes - self._end.limit_bytes
        self._cut = 0
        self._descriptor = -1

    def write(self, data: bytes) -> None:
        """Appends to the file, up to its limit."""
        if len(data) <= self._left:
            self._left -= len(data)
            self._append(data)
            return
        beginning, rest = data[: self._left], data[self._left :]
        self._left = 0
        self._append(beginning)
        self._cut += len(rest)
        self._end.write(rest)

    def close(self) -> None:
        """Writes the end of what was over the limit, and closes the file, where there is one."""
        end = self._end.text()
        if end:
            cut = self._cut - len(end)
            self._append((_CUT % (cut, self._limit) if cut else b"") + end)
            self._end.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes) -> None:
        if not data or self._path == "":
            return
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, _APPEND, _MODE)
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._path = ""


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
            del self._text[: len(self._text) - self._limit]

    def close(self) -> None:
        """Does nothing."""

    @property
    def limit_bytes(self) -> int:
        """How many bytes are kept."""
        return self._limit

    def text(self) -> bytes:
        """Returns what is kept."""
        return bytes(self._text[-self._limit :]) if self._limit else b""

    def clear(self) -> None:
        """Forgets everything."""
        self._text.clear()
