"""Progress of a build for a person: a live display on a terminal (`live_progress.py`), a few plain lines elsewhere.

It does not know where the events come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from databuild.cli.display.notices import Counts, notice
from databuild.cli.display.output import Output
from databuild.model.planning import PlanningProgress
from databuild.v1 import events_pb2 as ev

if TYPE_CHECKING:
    from databuild.cli.display.live_progress import EarlierRuns

TICK_SECONDS = 1.0
_PLAIN_SECONDS = 5.0


class Progress(Protocol):
    """Shows a person how a build stands.

    Attributes:
        counts: What its events add up to.
    """

    counts: Counts

    def on_event(self, event: ev.BuildEvent) -> None:
        """Takes an event."""
        ...

    def planning(self, progress: PlanningProgress) -> None:
        """Takes how far planning is."""
        ...

    def warned(self, warning: str) -> None:
        """Takes a warning, which an event may repeat."""
        ...

    def tick(self) -> None:
        """Is called every second or so, whether anything happens or not."""
        ...

    def start(self) -> None:
        """Begins."""
        ...

    def stop(self) -> None:
        """Ends."""
        ...


class PlainProgress:
    """Writes a line when something notable happens and, every few seconds, how it stands."""

    def __init__(self, counts: Counts, err: Output) -> None:
        self.counts = counts
        self._err = err
        self._next = counts.clock() + _PLAIN_SECONDS

    def on_event(self, event: ev.BuildEvent) -> None:
        """Takes an event."""
        if self.counts.add(event) and (line := notice(event)):
            self._err.line(f"databuild: {line}")
            self._err.flush()
        for warning in event.build_request.warnings:
            self.warned(warning)

    def planning(self, progress: PlanningProgress) -> None:
        """Takes how far planning is."""
        self.counts.planning = progress

    def warned(self, warning: str) -> None:
        """Writes a warning, once."""
        for fresh in self.counts.add_warnings([warning]):
            self._err.line(f"databuild: warning: {fresh}")
            self._err.flush()

    def tick(self) -> None:
        """Writes how it stands, where that is due."""
        now = self.counts.clock()
        if now >= self._next:
            self._next = now + _PLAIN_SECONDS
            self._err.line(f"databuild: {self.counts.line()}")
            self._err.flush()

    def start(self) -> None:
        """Begins."""

    def stop(self) -> None:
        """Ends."""
        self._err.flush()


def progress_for(err: Output, environ: Any, earlier_runs: EarlierRuns | None = None) -> Progress:
    """Returns the display that suits where standard error goes.

    Args:
        err: Standard error.
        environ: The environment of the command.
        earlier_runs: Reads the runs from whose durations the live display estimates the time that is left.
    """
    if err.isatty() and environ.get("TERM") != "dumb":
        from databuild.cli.display.live_progress import LiveProgress

        return LiveProgress(Counts(), err, earlier_runs)
    return PlainProgress(Counts(), err)
