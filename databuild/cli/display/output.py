"""Output streams that a closed pipe or a full disk cannot break, and records as JSON."""

from __future__ import annotations

import os
from typing import Any, TextIO


class Output:
    """A stream that discards text, and raises nothing, once it cannot be written to.

    Attributes:
        closed: True once text is discarded.
        fault: The message of the error that closed the stream; empty if its reader has closed the pipe, which is no
            error.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.closed = False
        self.fault = ""

    def line(self, text: str = "") -> None:
        self.write(text + "\n")

    def warn(self, *warnings: str) -> None:
        """Writes a line for each warning, at once."""
        for warning in warnings:
            self.line(f"databuild: warning: {warning}")
        self.flush()

    def write(self, text: str) -> None:
        if self.closed:
            return
        try:
            self.stream.write(text)
        except OSError as error:
            self._close(error)

    def flush(self) -> None:
        if self.closed:
            return
        try:
            self.stream.flush()
        except OSError as error:
            self._close(error)

    def isatty(self) -> bool:
        return self.stream.isatty()

    def json(self, value: Any) -> None:
        """Writes a value as JSON: indented for a terminal, else on one line. A record becomes an object."""
        import json

        self.line(json.dumps(as_json(value), indent=2 if self.isatty() else None, ensure_ascii=False))

    def _close(self, error: OSError) -> None:
        self.closed = True
        if not isinstance(error, BrokenPipeError):
            self.fault = error.strerror or str(error)
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError):
            return
        # The interpreter flushes the stream once more at exit. Redirect what is still buffered, or that would fail too.
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, descriptor)
        os.close(null_device)


def as_json(value: Any) -> Any:
    """Converts a value, recursively, to one for `json.dumps`: a NamedTuple becomes an object."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: as_json(getattr(value, name)) for name in value._fields}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): as_json(item) for key, item in value.items()}
    return value
