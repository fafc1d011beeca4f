"""Delivers what a run has written: to its log files, to memory, and line by line to the callback for reports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from databuild.executors.executor import ProcessSpec
from databuild.executors.output import LogFile, TailBuffer

STREAMS: Final = ("stdout", "stderr", "report")
"""As in `supervisor`."""


class _Lines:
    """Passes each line to a callback, once."""

    def __init__(self, on_line: Callable[[bytes], None] | None) -> None:
        self._on_line = on_line
        self._partial = b""

    def write(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if self._on_line is not None:
            for line in lines:
                self._on_line(line)

    def close(self) -> None:
        """Does nothing: the next part may complete the last line."""

    def finish(self) -> None:
        """Passes on a last line without a newline."""
        if self._partial and self._on_line is not None:
            self._on_line(self._partial)


class Delivery:
    """The destinations of the three streams of a run. Workers limit the size of output, not this.

    Attributes:
        positions: The number of bytes of each stream that have arrived.
    """

    def __init__(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None, limit_bytes: int) -> None:
        self._tails = tuple(None if path else TailBuffer(limit_bytes) for path in (spec.stdout, spec.stderr))
        self._lines = _Lines(on_report)
        stdout, stderr = (
            tail or LogFile(path, sys.maxsize)
            for tail, path in zip(self._tails, (spec.stdout, spec.stderr), strict=True)
        )
        self._sinks = (stdout, stderr, self._lines)
        self.positions = [0, 0, 0]

    def write(self, stream: int, data: bytes) -> None:
        """Adds data to a stream, by its number."""
        self.positions[stream] += len(data)
        self._sinks[stream].write(data)
        self._sinks[stream].close()  # thousands of runs must not hold a descriptor each

    def finish(self) -> tuple[bytes, bytes]:
        """Passes on the last line of the report, and returns the output that no file is for."""
        self._lines.finish()
        stdout, stderr = (tail.content() if tail is not None else b"" for tail in self._tails)
        return stdout, stderr


def remove_output(spec: ProcessSpec) -> None:
    """Removes the log files of a run, so that their output is written from its beginning."""
    for path in (spec.stdout, spec.stderr):
        if path:
            Path(path).unlink(missing_ok=True)
