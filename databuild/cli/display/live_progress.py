"""The progress display on a terminal: a bar, counts by state, elapsed time, an estimate, and the job runs that run.

It fits any width: the parts flow into as many lines as they need. It draws in a thread of its own, and reads the
durations of earlier runs in another, so that neither a slow terminal nor a slow event log delays the build.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from databuild.cli.display.notices import Counts, notice
from databuild.cli.display.output import Output, counted, duration_text
from databuild.cli.display.task_states import StateCounts, TaskStates
from databuild.errors import DataBuildError
from databuild.model.planning import PlanningProgress
from databuild.model.records import JobRunRecord
from databuild.v1 import events_pb2 as ev

EarlierRuns = Callable[[Sequence[str]], Iterable[tuple[str, Sequence[JobRunRecord]]]]
"""Reads the last runs of each of some jobs, newest first. It is called, and its result used, in one thread."""

_DRAWINGS_PER_SECOND: Final = 8
_MAX_RUNNING_SHOWN: Final = 8
_MIN_BAR, _MAX_BAR = 10, 40
# The estimate costs time that grows with the job graph, and the build needs the interpreter meanwhile.
_MIN_ESTIMATE_SECONDS: Final = 1.0
_ESTIMATE_SHARE: Final = 0.01


class LiveProgress:
    """Draws, on a terminal, where the build stands."""

    def __init__(
        self, counts: Counts, err: Output, earlier_runs: EarlierRuns | None = None, *, console: Console | None = None
    ) -> None:
        self.counts = counts
        self._tasks = TaskStates(counts.clock)
        self._started = counts.clock()
        self._earlier_runs = earlier_runs
        self._reading: threading.Thread | None = None
        self._stopped = threading.Event()
        self._left: float | None = None
        self._left_from = 0.0
        self._estimate_due = 0.0
        # Not to the stream itself: a terminal that has gone away must stop no build.
        self._console = console or Console(file=cast("TextIO", err), highlight=False)
        self._ascii = not (getattr(err.stream, "encoding", None) or "utf-8").lower().startswith("utf")
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=_DRAWINGS_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def on_event(self, event: ev.BuildEvent) -> None:
        """Follows an event, and prints what a person wants to know at once above the display."""
        self._tasks.add(event)
        if self.counts.add(event) and (line := notice(event)):
            self._console.print(Text(line, style="red" if event.HasField("job") else ""))
        for warning in event.build_request.warnings:
            self.warned(warning)
        if self._earlier_runs and self._reading is None and self._tasks.planned:
            self._reading = threading.Thread(target=self._read_earlier_runs, name="earlier job runs", daemon=True)
            self._reading.start()

    def planning(self, progress: PlanningProgress) -> None:
        """Keeps the progress of planning for the next refresh."""
        self.counts.planning = progress

    def warned(self, warning: str) -> None:
        """Prints a warning, once, above the display."""
        for fresh in self.counts.add_warnings([warning]):
            self._console.print(Text(f"warning: {fresh}", style="yellow"))

    def tick(self) -> None:
        """Does nothing: the display refreshes itself."""

    def start(self) -> None:
        """Shows the display."""
        self._live.start()

    def stop(self) -> None:
        """Removes the display."""
        self._stopped.set()
        self._live.stop()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws for the width that the terminal has at this moment."""
        width = options.max_width
        # Every line leaves the last column free: some terminals wrap a line that fills it.
        yield Text("\n").join(self._lines(max(width - 1, 1)))

    def _lines(self, width: int) -> Iterator[Text]:
        counts, states, now = self.counts, self._tasks.counts(), self.counts.clock()
        elapsed = Text(duration_text(now - self._started))
        phase = Text(counts.phase.replace("_", " "), style="bold")
        if counts.phase == "planning" and counts.planning is not None:
            yield from _flow([phase, *map(Text, counts.planning.text().split(", ")), elapsed], width)
        elif not states.total:
            yield from _flow([phase, elapsed], width)
        else:
            done = states.total - states.waiting - states.running
            of_all = Text(f"{done:,} of {counted(states.total, 'task')}")
            bar = self._bar(states, min(max(width // 4, _MIN_BAR), _MAX_BAR, width))
            yield from _flow([phase, bar, of_all, elapsed, *self._estimate(states, now)], width)
            yield from _flow(_state_texts(states), width)
        # Copied at once, since the event loop's thread goes on changing it.
        running = sorted(counts.running.items(), key=lambda item: item[1][1])
        for job_run_id, (label, started) in running[:_MAX_RUNNING_SHOWN]:
            yield _run_line(f"{label} {job_run_id.partition('.')[2]}", duration_text(now - started), width)
        if len(running) > _MAX_RUNNING_SHOWN:
            yield _cut(Text(f"  and {len(running) - _MAX_RUNNING_SHOWN} more"), width)

    def _bar(self, states: StateCounts, width: int) -> Text:
        full, half, empty = "#=." if self._ascii else "█▒░"
        parts = (
            (states.completed, full, "green"),
            (states.failed, full, "red"),
            (states.skipped + states.cancelled, full, "yellow"),
            (states.running, half, "cyan"),
            (states.waiting, empty, "dim"),
        )
        bar, seen, drawn = Text(), 0, 0
        for number, character, style in parts:
            seen += number
            end = seen * width // states.total
            bar.append(character * (end - drawn), style)
            drawn = end
        return bar

    def _estimate(self, states: StateCounts, now: float) -> Iterator[Text]:
        if not states.waiting + states.running:
            return
        if now >= self._estimate_due:
            self._left, self._left_from = self._tasks.seconds_left(), now
            cost = self.counts.clock() - now
            self._estimate_due = now + max(_MIN_ESTIMATE_SECONDS, cost / _ESTIMATE_SHARE)
        if self._left is None:
            return
        left = self._left - (now - self._left_from)
        yield Text(f"about {_rough(left)} left" if left > 0 else "longer than earlier runs")

    def _read_earlier_runs(self) -> None:
        assert self._earlier_runs is not None
        try:
            for label, runs in self._earlier_runs(self._tasks.jobs):
                self._tasks.add_earlier_runs(label, runs)
                if self._stopped.is_set():
                    return
        except DataBuildError:
            return  # the estimate then rests on the runs of this build


def _flow(parts: Iterable[Text], width: int) -> Iterator[Text]:
    """Fills lines with parts, two spaces between them; a part wider than a line is cut."""
    line = Text()
    for part in parts:
        if line and line.cell_len + 2 + part.cell_len > width:
            yield _cut(line, width)
            line = Text()
        line = Text.assemble(line, "  ", part) if line else part
    yield _cut(line, width)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _run_line(name: str, duration: str, width: int) -> Text:
    """Names a job run; of a name that is too long, the end stays, which tells labels of one package apart."""
    room = width - len(duration) - 4
    if cell_len(name) > room:
        while name and cell_len(name) > room - 1:
            name = name[1:]
        name = "…" + name
    return _cut(Text.assemble("  ", name, "  ", (duration, "dim")), width)


def _state_texts(states: StateCounts) -> Iterator[Text]:
    styles = {"completed": "green", "failed": "red", "running": "cyan", "skipped": "yellow", "cancelled": "yellow"}
    for state, number in states._asdict().items():
        if number or state in {"completed", "running", "waiting"}:
            yield Text(f"{number:,} {state}", style=styles.get(state, "") if number else "dim")


def _rough(seconds: float) -> str:
    """Rounds as coarsely as an estimate deserves: `12 s`, `4 min`, `2 h 10 min`."""
    if seconds < 59.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
