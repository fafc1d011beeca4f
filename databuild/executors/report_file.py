"""Reads the report file of a process as it grows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Final

_REPORT_BYTES: Final = 1 << 20


class ReportFile:
    """Hands over the lines of a report file."""

    __slots__ = ("_on_report", "_path", "_position", "_rest")

    def __init__(self, path: str, on_report: Callable[[bytes], None]) -> None:
        self._path = path
        self._on_report = on_report
        self._position = 0
        self._rest = b""

    def read(self) -> None:
        """Hands over the lines that are complete."""
        try:
            # A job may put anything there; what is no file is never waited for.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            while chunk := os.pread(descriptor, _REPORT_BYTES, self._position):
                self._position += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    self._on_report(line)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        """Hands over what is left, a last line without its newline included."""
        self.read()
        if self._rest:
            self._on_report(self._rest)
