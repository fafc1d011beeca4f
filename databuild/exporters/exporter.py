"""The interface of exporters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads, ExportReads
    from databuild.v1.events_pb2 import BuildEvent


class ReceiverError(Exception):
    """The receiver of an exporter could not take an event, which is sent again later.

    Args:
        fault: The fault, as a clause.
    """


class Batch(NamedTuple):
    """Events of any builds, in the order in which they were written.

    Attributes:
        events: The events with their positions, at least one.
        state: The text that the exporter has kept with the position before them; empty at first.
    """

    events: Sequence[tuple[int, BuildEvent]]
    state: str = ""


class Delivery(NamedTuple):
    """The result of sending events.

    Attributes:
        handled: The number of events, from the first, that need not be sent again.
        refusals: A clause for each request that the receiver refused for good.
        state: A text to keep with the position after them.
    """

    handled: int
    refusals: Sequence[str] = ()
    state: str = ""


class Exporter(Protocol):
    """Sends events to another system. It is used by one thread, which may block.

    Events are delivered at least once, in their order: after an error, and perhaps after a crash of the process, `send`
    gets the same events again. Ids in what it sends therefore depend on the events alone.
    """

    @property
    def name(self) -> str:
        """The name, by which the event log knows how far the exporter has come. It contains no secret."""
        ...

    def send(self, batch: Batch, reads: ExportReads) -> Delivery:
        """Sends events.

        It may return before the last event, to let the caller record how far it has come. It returns within 20 seconds.

        Args:
            batch: The events.
            reads: Reads earlier events, and records, which may be newer than the events.

        Raises:
            ReceiverError: The first event has to be sent again.
        """
        ...

    def close(self) -> None:
        """Closes connections."""
        ...


@runtime_checkable
class TimedExporter(Exporter, Protocol):
    """An exporter that also sends what becomes due by the clock, without an event."""

    @property
    def poll_seconds(self) -> float:
        """The interval between two calls of `send_due`, while there is no event to send; 0 for no calls."""
        ...

    def send_due(self, after: float, until: float, reads: BuildReads) -> Sequence[str]:
        """Sends what has become due in a period. After an error, the next call has the same beginning.

        Args:
            after: The end of the previous period, in seconds since the epoch; long ago in the first call of all.
            until: The end of the period.
            reads: Reads builds.

        Returns:
            A clause for each refusal of the receiver.

        Raises:
            ReceiverError: Everything has to be sent again.
        """
        ...
