"""Reads the lines of report files while processes append to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

_READ_BYTES: Final = 1 << 20
_POLL_SECONDS: Final = 0.25


class ReportFile:
    """Passes each line of a report file to a callback, once."""

    __slots__ = ("_may_report", "_on_report", "_partial_line", "_path", "_position")

    def __init__(self, path: str, on_report: Callable[[bytes], None], may_report: Callable[[], bool]) -> None:
        self._path = path
        self._on_report = on_report
        self._may_report = may_report
        self._position = 0
        self._partial_line = b""

    def read(self) -> None:
        """Passes on the new lines that are complete."""
        # Most runs have no file; an exception would take longer.
        if not os.access(self._path, os.F_OK) or not self._may_report():
            return
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


class ReportPoller:
    """Polls report files; one timer serves all of them."""

    def __init__(self) -> None:
        self._reports: set[ReportFile] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def reading(
        self, path: str, on_report: Callable[[bytes], None] | None, may_report: Callable[[], bool] = lambda: True
    ) -> Iterator[None]:
        """Returns a context in which each line of a file is passed on, at most a fraction of a second after its write.

        At the end of the context, every line has been passed on.

        Args:
            path: The path of the file; empty for none.
            on_report: Called with each line; None to read nothing.
            may_report: Returns False while nothing may be read.
        """
        if not path or on_report is None:
            yield
            return
        report = ReportFile(path, on_report, may_report)
        self._reports.add(report)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_POLL_SECONDS, self._poll, loop)
        try:
            yield
        finally:
            self._reports.discard(report)
            report.finish()

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        for report in tuple(self._reports):
            report.read()
        self._timer = loop.call_later(_POLL_SECONDS, self._poll, loop) if self._reports else None
