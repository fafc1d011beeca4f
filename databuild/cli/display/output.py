"""Text for people and programs: streams that survive a closed pipe, times, durations, tables and JSON of records."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from databuild.model.records import BuildRecord


class Output:
    """A stream that goes quiet, rather than failing, when it cannot be written to.

    Attributes:
        closed: Whether it has gone quiet, so that there is nothing more to say.
        fault: Why it cannot be written to, in words; empty where only its reader has gone away.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.closed = False
        self.fault = ""

    def line(self, text: str = "") -> None:
        """Writes a line."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Writes text as it is."""
        if self.closed:
            return
        try:
            self.stream.write(text)
        except OSError as error:
            self._quieten(error)

    def flush(self) -> None:
        """Hands over what was written."""
        if self.closed:
            return
        try:
            self.stream.flush()
        except OSError as error:
            self._quieten(error)

    def isatty(self) -> bool:
        """Whether it goes to a terminal."""
        return self.stream.isatty()

    def json(self, value: Any) -> None:
        """Writes one JSON object (or what a record is as one), indented for a terminal and otherwise on one line."""
        import json

        self.line(json.dumps(as_json(value), indent=2 if self.isatty() else None, ensure_ascii=False))

    def _quieten(self, error: OSError) -> None:
        self.closed = True
        if not isinstance(error, BrokenPipeError):
            self.fault = error.strerror or str(error)
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError):
            return
        # What is still buffered goes nowhere, so that the interpreter's own last flush does not fail either.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def as_json(value: Any) -> Any:
    """Returns a record as what json.dumps takes: a NamedTuple is an object, all through."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: as_json(getattr(value, name)) for name in value._fields}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): as_json(item) for key, item in value.items()}
    return value


def time_text(seconds: float) -> str:
    """Returns a moment, given in seconds since the epoch, as `2026-11-23 09:51:42` (UTC); `-` for none."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else "-"


def duration_text(seconds: float) -> str:
    """Returns a duration as `0.42 s`, `12.3 s`, `2 min 05 s` or `3 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def bytes_text(number: int) -> str:
    """Returns a number of bytes as `812 B`, `4.2 KiB`, `13.0 MiB` or `1.5 GiB`."""
    if number < 1024:
        return f"{number} B"
    power = 1 + (number >= 1024**2) + (number >= 1024**3)
    return f"{number / 1024**power:.1f} {'KMG'[power - 1]}iB"


def lasted_text(build: BuildRecord, *, alive: bool, now: float) -> str:
    """Returns how long a build took, or has been taking until now where it is alive."""
    return duration_text(max((now if alive else build.updated_time) - build.received_time, 0.0))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun, such as `1 job` or `3 jobs`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """Returns names joined by commas, the rest of many as a number."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows as lines with their columns aligned; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "".join(line.rstrip() + "\n" for line in lines)


def launcher_command(graph_label: str) -> str:
    """Returns how a person runs the graph, up to the command."""
    return f"bazel run {graph_label} --"
