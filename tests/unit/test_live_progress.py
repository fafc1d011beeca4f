"""The display on a terminal shows a bar, counts, times and job runs, and fits any width."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TextIO

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from databuild.cli.display.live_progress import EarlierRuns, LiveProgress
from databuild.cli.display.output import Output
from databuild.errors import EventLogError
from databuild.model.build_counts import BuildCounts
from databuild.model.planning import PlanningProgress
from databuild.model.records import JobRunRecord
from tests.support.half_done import BUILD, JOB, events
from tests.support.present import present

WIDTHS = (20, 21, 33, 40, 60, 80, 120, 200, 300)


def drawn(progress: RenderableType, width: int) -> list[str]:
    """Returns the lines of the display for a width."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(progress)
    return capture.get().splitlines()


def display(
    clock: Callable[[], float] = lambda: 0.0, earlier_runs: EarlierRuns | None = None, stream: TextIO | None = None
) -> LiveProgress:
    return LiveProgress(BuildCounts(clock), Output(stream or io.StringIO()), earlier_runs)


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_shown_at_any_width(width: int) -> None:
    now = [0.0]
    progress = display(lambda: now[0])
    for event in events():
        progress.on_event(event)
    now[0] = 65.0

    lines = drawn(progress, width)

    text = " ".join(" ".join(lines).split())
    assert max(map(cell_len, lines)) < width
    for part in ("executing", "█", "░", "11 of 40 tasks", "1 min 05 s", "about 1 min left", "10 completed", "1 failed"):
        assert part in text
    assert "3 running" in text
    assert "26 waiting" in text
    assert text.count("daily_flights" if width > 40 else ".1") >= 3


def test_a_wide_terminal_shows_a_line_for_each_concept() -> None:
    progress = display()
    for event in events(running=2):
        progress.on_event(event)

    assert drawn(progress, 120) == [
        "executing  " + "█" * 7 + "▒" * 2 + "░" * 20 + "  11 of 40 tasks  0.00 s  about 1 min left",
        "10 completed  1 failed  2 running  27 waiting",
        f"  {JOB} 12.1  0.00 s",
        f"  {JOB} 13.1  0.00 s",
    ]


def test_a_narrow_terminal_keeps_the_ends_of_labels() -> None:
    progress = display()
    for event in events(running=1):
        progress.on_event(event)

    assert drawn(progress, 40)[-1] == "  …long/path:daily_flights 12.1  0.00 s"


@pytest.mark.parametrize("width", WIDTHS)
def test_planning_fits_any_width(width: int) -> None:
    progress = display()
    progress.counts.phase = "planning"
    progress.planning(PlanningProgress(3, 5_000_000, 2, ("//" + "x" * 400, "//:b")))

    lines = drawn(progress, width)

    assert max(map(cell_len, lines)) < width
    assert "3 levels" in " ".join(lines)


def test_many_job_runs_are_cut_to_the_oldest() -> None:
    progress = display()
    for event in events(running=12):
        progress.on_event(event)

    assert drawn(progress, 80)[-1] == "  and 4 more"


def test_the_bar_is_plain_where_the_stream_takes_no_more() -> None:
    progress = display(stream=io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    for event in events():
        progress.on_event(event)

    bar = drawn(progress, 120)[0].split("  ")[1]
    assert set(bar) == set("#=.")


def test_earlier_runs_are_read_once_the_whole_job_graph_is_there() -> None:
    asked = []
    read = threading.Event()

    def earlier_runs(labels: Iterable[str]) -> Iterator[tuple[str, list[JobRunRecord]]]:
        asked.append((threading.current_thread(), list(labels)))
        yield JOB, [JobRunRecord(f"{BUILD}.1.1", BUILD, 1, 1, JOB, 1, "COMPLETED", duration_seconds=120.0)]
        read.set()

    progress = display(earlier_runs=earlier_runs)
    for event in events(completed=0, failed=0, running=0):
        progress.on_event(event)
    assert read.wait(30)

    assert [labels for _, labels in asked] == [[JOB]]
    assert asked[0][0] is not threading.main_thread()
    assert "about 20 min left" in drawn(progress, 120)[0]


def test_an_event_log_that_cannot_be_read_leaves_the_estimate_out() -> None:
    def earlier_runs(_labels: Iterable[str]) -> NoReturn:
        raise EventLogError("it is gone")

    progress = display(earlier_runs=earlier_runs)
    for event in events(completed=0, failed=0):
        progress.on_event(event)
    present(progress._reader_thread).join(30)

    assert "left" not in drawn(progress, 120)[0]


def test_runs_that_take_longer_than_earlier_ones_are_named() -> None:
    now = [0.0]
    progress = display(lambda: now[0])
    for event in events(tasks=11, completed=10, failed=0, running=1):
        progress.on_event(event)
    now[0] = 60.0

    assert drawn(progress, 120)[0].endswith("10 of 11 tasks  1 min 00 s  longer than earlier runs")
