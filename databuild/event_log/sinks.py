"""Write-only copies of the event log: JSON lines on stdout or in a file."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import IO

from databuild.event_log.log import Claim, ClaimRequest, EventLog, Pruner, Queued, Reader
from databuild.v1.events_pb2 import BuildEvent


class JsonLinesSink:
    """Writes each event as one line of protobuf JSON, with the names of the proto files."""

    def __init__(self, file: IO[str]) -> None:
        """Takes the file to write to."""
        self._file = file

    def write(self, events: Sequence[BuildEvent]) -> None:
        """Writes events.

        Raises:
            OSError: They could not be written.
        """
        from google.protobuf import json_format

        for event in events:
            line = json_format.MessageToJson(event, indent=None, preserving_proto_field_name=True)
            self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file, unless it is stdout."""
        if self._file is not sys.stdout:
            self._file.close()


class Tee:
    """An event log whose durable events are copied to sinks; one that fails gets nothing more, with a warning."""

    def __init__(self, log: EventLog, sinks: Sequence[JsonLinesSink], warn: Callable[[str], None]) -> None:
        """Takes the log, the sinks, and who is told of a sink that fails."""
        self._log = log
        self._sinks = list(sinks)
        self._warn = warn

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Appends to the log, and copies what has become durable."""
        durable = asyncio.ensure_future(self._log.append(events))
        durable.add_done_callback(lambda done: self._copy(done, events))
        return durable

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        """Claims in the log."""
        return self._log.claim(requests)

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, queued: Queued | None = None
    ) -> Awaitable[None]:
        """Renews a lease in the log."""
        return self._log.renew_lease(build_request_id, holder, seconds, queued)

    def reader(self) -> Reader:
        """Returns a reader of the log."""
        return self._log.reader()

    def pruner(self) -> Pruner:
        """Returns what prunes builds of the log; the copies in the sinks stay."""
        return self._log.pruner()

    async def close(self) -> None:
        """Closes the log and the sinks."""
        await self._log.close()
        await asyncio.sleep(0)  # the callbacks of the last appends
        for sink in self._sinks:
            sink.close()

    def _copy(self, done: asyncio.Future[None], events: Sequence[BuildEvent]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        for sink in tuple(self._sinks):
            try:
                sink.write(events)
            except (OSError, ValueError) as error:
                self._sinks.remove(sink)
                with contextlib.suppress(OSError, ValueError):
                    sink.close()
                self._warn(f"an event sink failed and gets nothing more: {error}")
