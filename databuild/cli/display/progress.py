"""The progress of a build on standard error: a live display on a terminal (`live_progress.py`), else plain lines.

The events may come from this process or from a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from databuild.cli.display.notices import notice, state_line
from databuild.cli.display.output import Output
from databuild.model.build_counts import BuildCounts
from databuild.model.planning import PlanningProgress
from databuild.v1 import events_pb2 as ev

if TYPE_CHECKING:
    from databuild.cli.display.live_progress import EarlierRuns

TICK_SECONDS = 1.0
_LINE_SECONDS = 5.0
"""The interval of lines about the state of a build where standard error is no terminal."""


class Progress(Protocol):
    """Shows the progress of one build.

    Attributes:
        counts: The sums over the events of the build.
    """

    counts: BuildCounts

    def on_event(self, event: ev.BuildEvent) -> None:
        """Adds the next event of the build."""
        ...

    def planning(self, progress: PlanningProgress) -> None:
        """Replaces the progress of planning."""
        ...

    def warned(self, warning: str) -> None:
        """Prints a warning, unless it has been printed before."""
        ...

    def tick(self) -> None:
        """Updates the display; called about once in TICK_SECONDS."""
        ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class PlainProgress:
    """Prints a line for each notable event, and the state of the build every few seconds."""

    def __init__(self, counts: BuildCounts, err: Output) -> None:
        self.counts = counts
        self._err = err
        self._line_due = counts.clock() + _LINE_SECONDS

    def on_event(self, event: ev.BuildEvent) -> None:
        if self.counts.add(event) and (line := notice(event, self.counts)):
            self._print(line)
        if event.HasField("build_request"):
            for warning in event.build_request.warnings:
                self.warned(warning)

    def planning(self, progress: PlanningProgress) -> None:
        self.counts.planning = progress

    def warned(self, warning: str) -> None:
        for fresh in self.counts.add_warnings([warning]):
            self._print(f"warning: {fresh}")

    def tick(self) -> None:
        for warning in self.counts.long_waits():
            self.warned(warning)
        now = self.counts.clock()
        if now >= self._line_due:
            self._line_due = now + _LINE_SECONDS
            self._print(state_line(self.counts))

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self._err.flush()

    def _print(self, line: str) -> None:
        self._err.line(f"databuild: {line}")
        self._err.flush()


def progress_for(err: Output, environ: Any, earlier_runs: EarlierRuns | None = None) -> Progress:
    """Returns a live display if standard error is a terminal that can show one, else plain lines.

    Args:
        err: Standard error.
        environ: The environment variables, of which TERM is read.
        earlier_runs: Reads earlier job runs, whose durations the live display estimates the remaining time from.
    """
    if err.isatty() and environ.get("TERM") != "dumb":
        # Importing rich is slow, so only a terminal pays for it.
        from databuild.cli.display.live_progress import LiveProgress

        return LiveProgress(BuildCounts(), err, earlier_runs)
    return PlainProgress(BuildCounts(), err)
