"""The progress display on a terminal: a bar, counts by state, elapsed time, an estimate, and the running job runs.

It fits any width: the parts flow into as many lines as they need. One thread draws, and another one reads the durations
of earlier runs, so that neither a slow terminal nor a slow event log delays the build.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from databuild.cli.display.formats import counted, duration_text
from databuild.cli.display.notices import notice
from databuild.cli.display.output import Output
from databuild.cli.display.task_states import StateCounts, TaskStates
from databuild.errors import DataBuildError
from databuild.model.build_counts import BuildCounts
from databuild.model.job_run_id import parse_job_run_id
from databuild.model.planning import PlanningProgress
from databuild.model.records import JobRunRecord
from databuild.v1 import events_pb2 as ev

EarlierRuns = Callable[[Sequence[str]], Iterable[tuple[str, Sequence[JobRunRecord]]]]
"""Reads the newest runs of each job, newest first. One thread calls it and iterates over the result."""

_DRAWINGS_PER_SECOND: Final = 8
_MAX_RUNNING_LINES: Final = 8
_MIN_BAR_COLUMNS: Final = 10
_MAX_BAR_COLUMNS: Final = 40
# The time of an estimate grows with the job graph, and the build waits for the interpreter lock meanwhile. So estimates
# take at most this share of the time.
_MAX_ESTIMATE_SHARE: Final = 0.01
_MIN_ESTIMATE_SECONDS: Final = 1.0
"""The minimum interval between two estimates."""


class LiveProgress:
    """A `Progress` that redraws a few lines at the bottom of a terminal."""

    def __init__(
        self,
        counts: BuildCounts,
        err: Output,
        earlier_runs: EarlierRuns | None = None,
    ) -> None:
        self.counts = counts
        self._tasks = TaskStates(counts.clock)
        self._started = counts.clock()
        self._earlier_runs = earlier_runs
        self._reader_thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._estimated_seconds: float | None = None
        self._estimate_time = 0.0
        self._next_estimate_time = 0.0
        # To the Output instead of its stream: a terminal that has been closed must not stop the build.
        self._console = Console(file=cast("TextIO", err), highlight=False)
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
        self._tasks.add(event)
        if self.counts.add(event) and (line := notice(event, self.counts)):
            self._console.print(Text(line, style="red" if event.HasField("job") else ""))
        if event.HasField("build_request"):
            for warning in event.build_request.warnings:
                self.warned(warning)
        if self._earlier_runs and self._reader_thread is None and self._tasks.planned:
            # A daemon, so that a reader that hangs does not delay the exit of the process.
            self._reader_thread = threading.Thread(target=self._read_earlier_runs, name="earlier job runs", daemon=True)
            self._reader_thread.start()

    def planning(self, progress: PlanningProgress) -> None:
        self.counts.planning = progress

    def warned(self, warning: str) -> None:
        for fresh in self.counts.add_warnings([warning]):
            self._console.print(Text(f"warning: {fresh}", style="yellow"))

    def tick(self) -> None:
        for warning in self.counts.long_waits():
            self.warned(warning)

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._stopped.set()
        self._live.stop()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws for the current width of the terminal. rich calls it for each redraw."""
        # Keep the last column free: some terminals wrap a line that fills it.
        yield Text("\n").join(self._lines(max(options.max_width - 1, 1)))

    def _lines(self, width: int) -> Iterator[Text]:
        counts, states, now = self.counts, self._tasks.counts(), self.counts.clock()
        elapsed = Text(duration_text(now - self._started))
        phase = Text(counts.phase.replace("_", " "), style="bold")
        if counts.phase == "planning" and counts.planning is not None:
            yield from _flow([phase, *map(Text, counts.planning.text().split(", ")), elapsed], width)
        elif not states.total:
            yield from _flow([phase, elapsed], width)
        else:
            ended = states.total - states.waiting - states.running
            ended_text = Text(f"{ended:,} of {counted(states.total, 'task')}")
            bar = self._bar(states, min(max(width // 4, _MIN_BAR_COLUMNS), _MAX_BAR_COLUMNS, width))
            yield from _flow([phase, bar, ended_text, elapsed, *self._estimate(states, now)], width)
            yield from _flow(_state_texts(states), width)
        # sorted() copies the items in one step, while the thread of the event loop may change the dictionary.
        running = sorted(counts.running.items(), key=lambda item: item[1][1])
        for job_run_id, (label, started) in running[:_MAX_RUNNING_LINES]:
            _, task_id, attempt = parse_job_run_id(job_run_id)
            name = counts.outputs_text(job_run_id) or f"{task_id}.{attempt}"
            again = f", attempt {attempt}" if attempt > 1 else ""
            state = " waits for a machine" if job_run_id in counts.queued else ""
            yield _run_line(f"{label} {name}{again}{state}", duration_text(now - started), width)
        if len(running) > _MAX_RUNNING_LINES:
            yield _truncated(Text(f"  and {len(running) - _MAX_RUNNING_LINES} more"), width)

    def _bar(self, states: StateCounts, width: int) -> Text:
        full, half, empty = "#=." if self._ascii else "█▒░"
        parts = (
            (states.completed, full, "green"),
            (states.failed, full, "red"),
            (states.skipped + states.cancelled, full, "yellow"),
            (states.running, half, "cyan"),
            (states.waiting, empty, "dim"),
        )
        # Round the ends of the parts instead of their lengths: the lengths then add up to the width.
        bar, tasks, start = Text(), 0, 0
        for number, character, style in parts:
            tasks += number
            end = tasks * width // states.total
            bar.append(character * (end - start), style)
            start = end
        return bar

    def _estimate(self, states: StateCounts, now: float) -> Iterator[Text]:
        if not states.waiting + states.running:
            return
        if now >= self._next_estimate_time:
            self._estimated_seconds, self._estimate_time = self._tasks.remaining_seconds(), now
            cost = self.counts.clock() - now
            self._next_estimate_time = now + max(_MIN_ESTIMATE_SECONDS, cost / _MAX_ESTIMATE_SHARE)
        if self._estimated_seconds is None:
            return
        remaining = self._estimated_seconds - (now - self._estimate_time)
        yield Text(f"about {_rounded(remaining)} left" if remaining > 0 else "longer than earlier runs")

    def _read_earlier_runs(self) -> None:
        assert self._earlier_runs is not None
        try:
            for label, runs in self._earlier_runs(self._tasks.jobs):
                self._tasks.add_earlier_runs(label, runs)
                if self._stopped.is_set():
                    return
        except DataBuildError:
            return  # the runs of this build are then the only source of the estimate


def _flow(parts: Iterable[Text], width: int) -> Iterator[Text]:
    """Fills lines with parts, two spaces between them; a part wider than a line is truncated."""
    line = Text()
    for part in parts:
        if line and line.cell_len + 2 + part.cell_len > width:
            yield _truncated(line, width)
            line = Text()
        line = Text.assemble(line, "  ", part) if line else part
    yield _truncated(line, width)


def _truncated(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _run_line(name: str, duration: str, width: int) -> Text:
    name_width = width - len(duration) - 4
    if cell_len(name) > name_width:
        # Remove the beginning: labels of one package differ in their ends.
        while name and cell_len(name) > name_width - 1:
            name = name[1:]
        name = "…" + name
    return _truncated(Text.assemble("  ", name, "  ", (duration, "dim")), width)


def _state_texts(states: StateCounts) -> Iterator[Text]:
    styles = {"completed": "green", "failed": "red", "running": "cyan", "skipped": "yellow", "cancelled": "yellow"}
    for state, number in states._asdict().items():
        if number or state in {"completed", "running", "waiting"}:
            yield Text(f"{number:,} {state}", style=styles.get(state, "") if number else "dim")


def _rounded(seconds: float) -> str:
    """Formats an estimate without more precision than it has: `12 s`, `4 min`, `2 h 10 min`."""
    if seconds < 59.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
