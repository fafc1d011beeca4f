"""Timeline of a build: its job runs over time, with the critical path."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

from databuild.drawing.critical_path import critical_path
from databuild.drawing.runs import GLYPH_WIDTH, Bar, DrawnRun, Scale, Span, free_widths, lane_bars, task_bars
from databuild.drawing.states import STATES, counts_text, glyph
from databuild.drawing.svg import COLUMN_WIDTH, MARGIN, document, group, heading, label, number, rectangle
from databuild.drawing.text import job_name

MAX_BARS: Final = 200
"""Maximum number of job runs that are drawn one by one."""

_MAX_NAMED_TASKS: Final = 40
"""Maximum number of tasks that have a row with their name each. The runs of more tasks share rows."""

_MAX_JOBS: Final = 20
_MAX_TICKS: Final = 10
_WIDTH: Final = 1080.0
_NAME_WIDTH: Final = 232.0
_ROW_HEIGHT: Final = 26.0
_BAR_HEIGHT: Final = 18.0
_TOP: Final = 122.0
_UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))
_TICK_STEPS: Final = (
    *(mantissa * 10.0**power for power in (-3, -2, -1) for mantissa in (1, 2, 5)),
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600.0 * hours for hours in (1, 2, 3, 6, 12)),
    *(86400.0 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
)


class _Chart(NamedTuple):
    scale: Scale
    bars: Sequence[Bar]
    path: tuple[str, ...]
    named: bool


def draw_timeline(
    runs: Sequence[DrawnRun],
    upstream: Mapping[int, Sequence[int]],
    *,
    now: float,
    title: str = "Job runs",
) -> str:
    """Draws the job runs of a build.

    Args:
        runs: The job runs that have started.
        upstream: The ids of the upstream tasks of each task.
        now: The current time in seconds since the epoch, at which the bars of running job runs end.
        title: The title of the drawing.
    """
    if not runs:
        return _document(title, ["no job run has started"], (), 64.0)
    spans = [Span(run, max(run.start, now if run.end is None else run.end)) for run in runs]
    path = critical_path(runs, upstream)
    drawn = _most_relevant(spans, frozenset(path))
    chart = _chart(spans, drawn, path)
    groups = _omitted_by_job(spans, drawn)
    bottom = _TOP + _ROW_HEIGHT * (max(bar.row for bar in chart.bars) + 1)
    summary = _summary(spans, path, chart, len(drawn))
    parts = [*_axis(chart.scale, bottom), *_critical(chart), *_bars(chart)]
    height = bottom + MARGIN
    if groups:
        parts += _group_bars(groups, chart.scale, bottom + 34)
        height += 34 + _ROW_HEIGHT * len(groups)
    return _document(title, summary, parts, height)


def _document(title: str, summary: Sequence[str], parts: Iterable[str], height: float) -> str:
    elements = [*heading(title, summary, _WIDTH), *parts]
    return document("timeline", title, "; ".join(summary), elements, _WIDTH, height)


def _most_relevant(spans: Sequence[Span], path: frozenset[str]) -> list[Span]:
    """Returns the runs that are drawn one by one: the critical path, failed runs and the longest, up to a maximum."""
    if len(spans) <= MAX_BARS:
        return list(spans)
    longest = sorted(spans, key=lambda span: (-span.seconds, span.run.run_id))
    critical = [span for span in longest if span.run.run_id in path]
    failed = [span for span in longest if span.run.state == "failed"][: MAX_BARS // 2]
    ranked = {span.run.run_id: span for span in [*critical, *failed, *longest]}
    return list(ranked.values())[:MAX_BARS]


def _chart(spans: Sequence[Span], drawn: Sequence[Span], path: tuple[str, ...]) -> _Chart:
    named = len({span.run.task_id for span in drawn}) <= _MAX_NAMED_TASKS
    start = min(span.run.start for span in spans)
    seconds = max(max(span.end for span in spans) - start, 0.001)  # the scale divides by it
    left = MARGIN + (_NAME_WIDTH if named else 0.0)
    scale = Scale(start, seconds, left, _WIDTH - left - MARGIN - GLYPH_WIDTH)
    return _Chart(scale, (task_bars if named else lane_bars)(drawn, scale), path, named)


def _summary(spans: Sequence[Span], path: tuple[str, ...], chart: _Chart, drawn: int) -> list[str]:
    on_path = set(path)
    path_seconds = sum(span.seconds for span in spans if span.run.run_id in on_path)
    start = datetime.fromtimestamp(chart.scale.start, UTC)
    states = counts_text(Counter(span.run.state for span in spans))
    duration = duration_text(chart.scale.seconds)
    note = "" if drawn == len(spans) else f"; the {drawn} that matter most are drawn one by one"
    return [
        f"{_counted(len(spans))} in {duration} from {start:%Y-%m-%d %H:%M:%S} UTC ({states})",
        f"critical path: {_counted(len(path))}, {duration_text(path_seconds)}{note}",
    ]


def _counted(runs: int) -> str:
    return f"{runs:,} job {'run' if runs == 1 else 'runs'}"


def _axis(scale: Scale, bottom: float) -> Iterable[str]:
    for seconds in ticks(scale.seconds, _MAX_TICKS):
        x = scale.x(scale.start + seconds)
        yield f'<path class="rule" d="M{number(x)} {number(_TOP - 8)}V{number(bottom)}"/>'
        yield label("small middle", x, _TOP - 14, duration_text(seconds) if seconds else "0")


def _critical(chart: _Chart) -> Iterable[str]:
    """Draws a line from the end of each run on the critical path to the start of the next."""
    bars = {bar.span.run.run_id: bar for bar in chart.bars}
    on_path = [bars[run_id] for run_id in chart.path if run_id in bars]
    lines = [
        f"M{number(before.x + before.width)} {number(_middle(before))}H{number(after.x + 1)}V{number(_middle(after))}"
        for before, after in pairwise(on_path)
    ]
    if lines:
        yield f'<path class="critical-path" d="{"".join(lines)}"/>'


def _middle(bar: Bar) -> float:
    return _TOP + _ROW_HEIGHT * bar.row + _BAR_HEIGHT / 2


def _bars(chart: _Chart) -> Iterable[str]:
    free = free_widths(chart.bars, chart.scale)
    on_path = frozenset(chart.path)
    named_rows: set[int] = set()
    for bar in chart.bars:
        run = bar.span.run
        critical = run.run_id in on_path
        if chart.named and bar.row not in named_rows:
            named_rows.add(bar.row)
            yield label("quiet", MARGIN, _middle(bar) + 4, run.name or job_name(run.job_label), 30)
        yield _bar(bar, free[run.run_id], critical=critical, named=chart.named)


def _bar(bar: Bar, free_width: float, *, critical: bool, named: bool) -> str:
    run = bar.span.run
    y = _TOP + _ROW_HEIGHT * bar.row
    parts = [rectangle("box", bar.x, y, bar.width, _BAR_HEIGHT, 3 if bar.width > 8 else 1)]
    waited = bar.width * min(run.waited / bar.span.seconds, 1.0) if bar.span.seconds else 0.0
    if waited >= 1:
        parts.append(rectangle("waiting", bar.x, y, waited, _BAR_HEIGHT, 3 if bar.width > 8 else 1))
    text = duration_text(bar.span.seconds) if named else job_name(run.job_label)
    columns = int((bar.width - GLYPH_WIDTH - 8) / COLUMN_WIDTH)
    if bar.width >= GLYPH_WIDTH:
        parts.append(glyph(run.state, bar.x + 3, y + 3))
        if columns >= min(len(text), 10):
            parts.append(label("inside", bar.x + GLYPH_WIDTH + 3, y + 13, text, columns))
    elif run.state != "completed" and free_width >= GLYPH_WIDTH - 2:
        parts.append(glyph(run.state, bar.x + bar.width + 2, y + 3))
    name = f"{run.job_label}: {run.name}" if run.name else run.job_label
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    title = f"{name} ({STATES[run.state].word} after {duration_text(bar.span.seconds)}{attempt})"
    if run.end is None:
        title = f"{name} (running for {duration_text(bar.span.seconds)}{attempt})"
    if run.machine:
        title += f", after {duration_text(run.waited)} in the queue of {run.machine}"
    return group(
        f"run state-{run.state}{' critical' if critical else ''}",
        title + (", on the critical path" if critical else ""),
        parts,
        run.link,
    )


def _omitted_by_job(spans: Sequence[Span], drawn: Sequence[Span]) -> list[tuple[str, list[Span]]]:
    """Groups the runs that are not drawn one by one by job; jobs after the busiest form one group."""
    shown = {span.run.run_id for span in drawn}
    by_job: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.run.run_id not in shown:
            by_job[span.run.job_label].append(span)
    busiest = sorted(by_job.items(), key=lambda item: (-sum(span.seconds for span in item[1]), item[0]))
    others = [span for _, job_spans in busiest[_MAX_JOBS:] for span in job_spans]
    groups = [(job_name(job), job_spans) for job, job_spans in busiest[:_MAX_JOBS]]
    return [*groups, (f"{len(busiest) - _MAX_JOBS:,} other jobs", others)] if others else groups


def _group_bars(groups: Sequence[tuple[str, Sequence[Span]]], scale: Scale, top: float) -> Iterable[str]:
    yield label("name", MARGIN, top - 8, "Other job runs, by job")
    for row, (name, spans) in enumerate(groups):
        y = top + _ROW_HEIGHT * row
        left, right = scale.x(min(span.run.start for span in spans)), scale.x(max(span.end for span in spans))
        total = duration_text(sum(span.seconds for span in spans))
        states = counts_text(Counter(span.run.state for span in spans))
        yield rectangle("rest", left, y, max(right - left, 3.0), _BAR_HEIGHT, 3)
        yield label("inside", MARGIN + 6, y + 13, f"{name}: {len(spans):,} more, {total} in total ({states})", 130)


def duration_text(seconds: float) -> str:
    """Returns a duration in its two largest units, such as `1 h 5 m`, `12.5 s` or `80 ms`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    seconds = round(seconds)
    for size, unit in _UNITS:
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            below = {"d": (3600.0, "h"), "h": (60.0, "m"), "m": (1.0, "s")}[unit]
            second = int(rest // below[0])
            return f"{whole:.0f} {unit}" + (f" {second} {below[1]}" if second else "")
    return f"{seconds} s"


def ticks(seconds: float, max_ticks: int) -> list[float]:
    """Returns the ticks of a time axis from 0 to `seconds`, at round durations."""
    step = next((step for step in _TICK_STEPS if seconds / step < max_ticks), 0.0) or seconds / max(max_ticks - 1, 1)
    return [step * count for count in range(int(seconds / step + 1e-9) + 1)]
