"""Reads the lines of a report file while a process appends to it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Final

_READ_BYTES: Final = 1 << 20


class ReportFile:
    """Passes each line of a report file to a callback, once."""

    __slots__ = ("_on_report", "_partial_line", "_path", "_position")

    def __init__(self, path: str, on_report: Callable[[bytes], None]) -> None:
        self._path = path
        self._on_report = on_report
        self._position = 0
        self._partial_line = b""

    def read(self) -> None:
        """Passes on the new lines that are complete."""
        try:
            # A job may put anything at this path. Without O_NONBLOCK, opening a FIFO would block.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            while chunk := os.pread(descriptor, _READ_BYTES, self._position):
                self._position += len(chunk)
                *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
                for line in lines:
                    self._on_report(line)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        """Passes on all remaining lines, also a last line without a newline."""
        self.read()
        if self._partial_line:
            self._on_report(self._partial_line)
