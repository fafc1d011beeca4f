"""The job runs of a build over time, with the critical path."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

from databuild.drawing.critical_path import critical_path
from databuild.drawing.durations import duration_text, ticks
from databuild.drawing.runs import GLYPH_ROOM, Bar, DrawnRun, Scale, Span, by_lane, by_task, room_after
from databuild.drawing.states import STATES, glyph, in_words
from databuild.drawing.svg import MARGIN, document, group, heading, label, number, rectangle
from databuild.drawing.text import short_name

LARGEST: Final = 200
"""How many job runs are drawn one by one at most."""

_MAX_TASKS: Final = 40
"""Up to how many tasks each has a row with its name; more share rows."""

_MAX_JOBS: Final = 20
_MAX_TICKS: Final = 10
_WIDTH: Final = 1080.0
_NAMES: Final = 232.0
_ROW: Final = 26.0
_BAR: Final = 18.0
_TOP: Final = 122.0
_COLUMN: Final = 7.2


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
    style: bool = False,
) -> str:
    """Draws the job runs of a build.

    Args:
        runs: Those that have started.
        upstream: The ids of the tasks that each task waits for.
        now: Until when runs that have not ended are drawn, in seconds since the epoch.
        title: What they are the job runs of.
        style: Whether the style sheet is embedded.
    """
    if not runs:
        return _whole(title, ["no job run has started"], (), 64.0, style=style)
    spans = [Span(run, max(run.start, now if run.end is None else run.end)) for run in runs]
    path = critical_path(runs, upstream)
    drawn = _chosen(spans, frozenset(path))
    chart = _chart(spans, drawn, path)
    rest = _rest(spans, drawn)
    bottom = _TOP + _ROW * (max(bar.row for bar in chart.bars) + 1)
    said = _said(spans, path, chart, len(drawn))
    parts = [*_axis(chart.scale, bottom), *_critical(chart), *_bars(chart)]
    height = bottom + MARGIN
    if rest:
        parts += _summaries(rest, chart.scale, bottom + 34)
        height += 34 + _ROW * len(rest)
    return _whole(title, said, parts, height, style=style)


def _whole(title: str, said: Sequence[str], parts: Iterable[str], height: float, *, style: bool) -> str:
    above = heading(title, said, _WIDTH)
    return document("timeline", title, "; ".join(said), [*above, *parts], _WIDTH, height, style=style)


def _chosen(spans: Sequence[Span], path: frozenset[str]) -> list[Span]:
    """Returns what is drawn of too many runs: the critical path, what failed and the longest."""
    if len(spans) <= LARGEST:
        return list(spans)
    longest = sorted(spans, key=lambda span: (-span.seconds, span.run.run_id))
    critical = [span for span in longest if span.run.run_id in path]
    failed = [span for span in longest if span.run.state == "failed"][: LARGEST // 2]
    first = {span.run.run_id: span for span in [*critical, *failed, *longest]}
    return list(first.values())[:LARGEST]


def _chart(spans: Sequence[Span], drawn: Sequence[Span], path: tuple[str, ...]) -> _Chart:
    named = len({span.run.task_id for span in drawn}) <= _MAX_TASKS
    start = min(span.run.start for span in spans)
    seconds = max(max(span.end for span in spans) - start, 0.001)
    left = MARGIN + (_NAMES if named else 0.0)
    scale = Scale(start, seconds, left, _WIDTH - left - MARGIN - GLYPH_ROOM)
    return _Chart(scale, (by_task if named else by_lane)(drawn, scale), path, named)


def _said(spans: Sequence[Span], path: tuple[str, ...], chart: _Chart, drawn: int) -> list[str]:
    of_path = set(path)
    busy = sum(span.seconds for span in spans if span.run.run_id in of_path)
    began = datetime.fromtimestamp(chart.scale.start, UTC)
    states = in_words(Counter(span.run.state for span in spans))
    took = duration_text(chart.scale.seconds)
    few = "" if drawn == len(spans) else f"; the {drawn} that matter most are drawn one by one"
    return [
        f"{_counted(len(spans))} in {took} from {began:%Y-%m-%d %H:%M:%S} UTC ({states})",
        f"critical path: {_counted(len(path))}, {duration_text(busy)}{few}",
    ]


def _counted(runs: int) -> str:
    return f"{runs:,} job {'run' if runs == 1 else 'runs'}"


def _axis(scale: Scale, bottom: float) -> Iterable[str]:
    for seconds in ticks(scale.seconds, _MAX_TICKS):
        x = scale.x(scale.start + seconds)
        yield f'<path class="rule" d="M{number(x)} {number(_TOP - 8)}V{number(bottom)}"/>'
        yield label("small middle", x, _TOP - 14, duration_text(seconds) if seconds else "0")


def _critical(chart: _Chart) -> Iterable[str]:
    """Draws the line from the end of each run of the critical path to the start of the next."""
    bars = {bar.span.run.run_id: bar for bar in chart.bars}
    on_path = [bars[run_id] for run_id in chart.path if run_id in bars]
    lines = [
        f"M{number(before.x + before.width)} {number(_middle(before))}H{number(after.x + 1)}V{number(_middle(after))}"
        for before, after in pairwise(on_path)
    ]
    if lines:
        yield f'<path class="critical-path" d="{"".join(lines)}"/>'


def _middle(bar: Bar) -> float:
    return _TOP + _ROW * bar.row + _BAR / 2


def _bars(chart: _Chart) -> Iterable[str]:
    room = room_after(chart.bars, chart.scale)
    on_path = frozenset(chart.path)
    named: set[int] = set()
    for bar in chart.bars:
        run = bar.span.run
        critical = run.run_id in on_path
        if chart.named and bar.row not in named:
            named.add(bar.row)
            yield label("quiet", MARGIN, _middle(bar) + 4, run.name or short_name(run.job_label), 30)
        yield _bar(bar, room[run.run_id], critical=critical, named=chart.named)


def _bar(bar: Bar, room: float, *, critical: bool, named: bool) -> str:
    run = bar.span.run
    y = _TOP + _ROW * bar.row
    parts = [rectangle("box", bar.x, y, bar.width, _BAR, 3 if bar.width > 8 else 1)]
    text = duration_text(bar.span.seconds) if named else short_name(run.job_label)
    columns = int((bar.width - GLYPH_ROOM - 8) / _COLUMN)
    if bar.width >= GLYPH_ROOM:
        parts.append(glyph(run.state, bar.x + 3, y + 3))
        if columns >= min(len(text), 10):
            parts.append(label("inside", bar.x + GLYPH_ROOM + 3, y + 13, text, columns))
    elif run.state != "completed" and room >= GLYPH_ROOM - 2:
        parts.append(glyph(run.state, bar.x + bar.width + 2, y + 3))
    what = f"{run.job_label}: {run.name}" if run.name else run.job_label
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    title = f"{what} ({STATES[run.state].word} after {duration_text(bar.span.seconds)}{attempt})"
    if run.end is None:
        title = f"{what} (running for {duration_text(bar.span.seconds)}{attempt})"
    return group(
        f"run state-{run.state}{' critical' if critical else ''}",
        title + (", on the critical path" if critical else ""),
        parts,
        run.link,
    )


def _rest(spans: Sequence[Span], drawn: Sequence[Span]) -> list[tuple[str, list[Span]]]:
    """Returns the runs that are not drawn one by one, by job; the jobs after the busiest come together."""
    shown = {span.run.run_id for span in drawn}
    by_job: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.run.run_id not in shown:
            by_job[span.run.job_label].append(span)
    busiest = sorted(by_job.items(), key=lambda item: (-sum(span.seconds for span in item[1]), item[0]))
    others = [span for _, of_job in busiest[_MAX_JOBS:] for span in of_job]
    named = [(short_name(job), of_job) for job, of_job in busiest[:_MAX_JOBS]]
    return [*named, (f"{len(busiest) - _MAX_JOBS:,} other jobs", others)] if others else named


def _summaries(rest: Sequence[tuple[str, Sequence[Span]]], scale: Scale, top: float) -> Iterable[str]:
    yield label("name", MARGIN, top - 8, "The others, by job")
    for row, (name, spans) in enumerate(rest):
        y = top + _ROW * row
        left, right = scale.x(min(span.run.start for span in spans)), scale.x(max(span.end for span in spans))
        total = duration_text(sum(span.seconds for span in spans))
        said = f"{len(spans):,} more, {total} in all ({in_words(Counter(span.run.state for span in spans))})"
        yield rectangle("rest", left, y, max(right - left, 3.0), _BAR, 3)
        yield label("inside", MARGIN + 6, y + 13, f"{name}: {said}", 130)
