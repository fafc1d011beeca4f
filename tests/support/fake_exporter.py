"""An exporter that remembers what it sends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from databuild.exporters.exporter import Batch, Delivery, ReceiverError

if TYPE_CHECKING:
    from databuild.event_log.reads import ExportReads


class FakeExporter:
    """Keeps what it sends; fails while `fault` is set, and handles at most `limit` events at once."""

    def __init__(self, name: str = "fake:", limit: int = 1000) -> None:
        self.name = name
        self.limit = limit
        self.fault = ""
        self.refusals: Sequence[str] = ()
        self.sent: list[str] = []
        self.states: list[str] = []
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def send(self, batch: Batch, reads: ExportReads) -> Delivery:
        events = [event for _, event in batch.events]
        self.states.append(batch.state)
        self.gate.wait()
        if self.fault:
            raise ReceiverError(self.fault)
        self.sent += [event.event_id for event in events[: self.limit]]
        return Delivery(min(len(events), self.limit), self.refusals, f"state {len(self.sent)}")

    def close(self) -> None:
        self.closed = True
