"""Shows how a build goes while it goes: live on a terminal, a few plain lines elsewhere.

It is told of each event and only counts; drawing happens a few times a second, in another thread on a terminal. It does
not know where the events come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

from databuild.cli.output import Output, counted, duration_text, some_of
from databuild.model.build_counts import BuildCounts
from databuild.model.planning import PlanningProgress
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from rich.text import Text

TICK_SECONDS = 1.0
_MOST_SHOWN = 8
_DRAWINGS_PER_SECOND = 8
_PLAIN_SECONDS = 5.0


class Counts(BuildCounts):
    """What the events of a build add up to, also in words."""

    def line(self) -> str:
        """Returns how it stands, in one line."""
        if self.phase == "planning" and self.planning is not None:
            return f"planning: {self.planning.text()}"
        if not (self.total or self.completed or self.failed or self.running):
            return self.phase.replace("_", " ")
        text = f"{self.phase.replace('_', ' ')}: {self.completed} of {counted(self.total, 'task')} completed"
        if self.failed:
            text += f", {self.failed} failed"
        return f"{text}, {len(self.running)} running" if self.running else text


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
        for fresh in self.counts.warned([warning]):
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


class LiveProgress:
    """Draws, on a terminal, how it stands and which job runs are running."""

    def __init__(self, counts: Counts, err: Output) -> None:
        from rich.console import Console
        from rich.live import Live

        self.counts = counts
        self._started = counts.clock()
        # Not to the stream itself: a terminal that has gone away must stop no build.
        self._console = Console(file=cast("TextIO", err), highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=_DRAWINGS_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def on_event(self, event: ev.BuildEvent) -> None:
        """Takes an event."""
        if self.counts.add(event) and (line := notice(event)):
            from rich.text import Text

            self._console.print(Text(line, style="red" if event.HasField("job") else ""))
        for warning in event.build_request.warnings:
            self.warned(warning)

    def planning(self, progress: PlanningProgress) -> None:
        """Takes how far planning is; the next drawing shows it."""
        self.counts.planning = progress

    def warned(self, warning: str) -> None:
        """Prints a warning, once, above what is drawn."""
        from rich.text import Text

        for fresh in self.counts.warned([warning]):
            self._console.print(Text(f"warning: {fresh}", style="yellow"))

    def tick(self) -> None:
        """Does nothing: the drawing is made anew by itself."""

    def start(self) -> None:
        """Begins to draw."""
        self._live.start()

    def stop(self) -> None:
        """Takes the drawing away."""
        self._live.stop()

    def _draw(self) -> Text:
        from rich.text import Text

        counts = self.counts
        now = counts.clock()
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{counts.line()}, {duration_text(now - self._started)}", style="bold")
        # Copied at once, since the event loop's thread goes on changing it.
        running = sorted(counts.running.items(), key=lambda item: item[1][1])
        for job_run_id, (label, started) in running[:_MOST_SHOWN]:
            text.append(f"\n  {label} {job_run_id.partition('.')[2]}  {duration_text(now - started)}")
        if len(running) > _MOST_SHOWN:
            text.append(f"\n  and {len(running) - _MOST_SHOWN} more")
        return text


def notice(event: ev.BuildEvent) -> str:
    """Returns what a person wants to know of an event at once; empty where it is nothing of the kind."""
    if event.job.status == ev.JOB_STATUS_FAILED:
        return failed_line(event.job)
    if event.delegation.running:
        refs = [ref.str for ref in event.delegation.partitions]
        return f"waiting for build {event.delegation.delegated_to_build_request_id} to produce {some_of(refs)}"
    return ""


def failed_line(job: ev.JobEvent) -> str:
    """Returns that a job run failed, and why, in one line."""
    category = pt.FailureCategory.Name(job.failure.category).removeprefix("FAILURE_CATEGORY_")
    return f"FAILED {job.job_label} ({job.job_run_id}), {category}: {job.failure.message}"


def progress_for(err: Output, environ: Any) -> Progress:
    """Returns the display that suits where standard error goes."""
    if err.isatty() and environ.get("TERM") != "dumb":
        return LiveProgress(Counts(), err)
    return PlainProgress(Counts(), err)
