"""Write-only copies of the event log: JSON lines on stdout or in a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import IO

from databuild.v1.events_pb2 import BuildEvent


class JsonLinesSink:
    """An observer that writes each event as one line of protobuf JSON, with the field names of the proto files.

    After an error it writes nothing more, and warns once: a full disk must not stop builds.
    """

    def __init__(self, file: IO[str], warn: Callable[[str], None]) -> None:
        """Writes nothing yet.

        Args:
            file: The file to write to.
            warn: Called with a message after an error.
        """
        self._file: IO[str] | None = file
        self._warn = warn

    def notify(self, events: Sequence[BuildEvent]) -> None:
        if self._file is None:
            return
        from google.protobuf import json_format

        lines = (json_format.MessageToJson(event, indent=None, preserving_proto_field_name=True) for event in events)
        try:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
        except (OSError, ValueError) as error:
            self.close()
            self._warn(f"an event sink failed and gets no more events: {error}")

    def close(self) -> None:
        """Closes the file, unless it is stdout."""
        if self._file is not None and self._file is not sys.stdout:
            with contextlib.suppress(OSError, ValueError):
                self._file.close()
        self._file = None
