"""Pictures of job runs over time, with the critical path."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.drawing.critical_path import critical_path
from databuild.drawing.runs import DrawnRun, Scale, Span, lane_bars
from databuild.drawing.timeline import MAX_BARS, draw_timeline, duration_text, ticks
from tests.support.drawn import SVG, of_class, parse, texts, titles
from tests.support.present import present


def run(
    task_id: int,
    start: float,
    end: float | None,
    *,
    attempt: int = 1,
    state: str = "completed",
    job: str = "job",
    link: str = "",
) -> DrawnRun:
    name = f"{job}/{task_id}"
    return DrawnRun(f"r{task_id}.{attempt}", task_id, f"//x:{job}", name, state, start, end, attempt, link)


def bars(root: Element) -> dict[str, tuple[float, float]]:
    """Returns left and right of each bar, by its title."""
    found = {}
    for group in of_class(root, "run"):
        box = present(group.find(f"{SVG}rect"))
        x = float(present(box.get("x")))
        found[present(group.findtext(f"{SVG}title"))] = (x, x + float(present(box.get("width"))))
    return found


def test_each_run_is_a_bar_from_its_start_to_its_end() -> None:
    root = parse(draw_timeline([run(1, 100.0, 110.0), run(2, 110.0, 140.0)], {2: [1]}, now=500.0))

    first, second = bars(root).values()
    assert second[1] - second[0] == pytest.approx(3 * (first[1] - first[0]), abs=0.5)
    assert second[0] == pytest.approx(first[1], abs=0.2)
    assert list(bars(root)) == [
        "//x:job: job/1 (done after 10 s), on the critical path",
        "//x:job: job/2 (done after 30 s), on the critical path",
    ]


def test_the_time_in_the_queue_of_an_engine_has_a_tone_of_its_own() -> None:
    waiting = run(2, 100.0, None, state="running")._replace(waited=40.0, machine="dask://engine:1")
    placed = run(1, 100.0, 140.0)._replace(waited=10.0, machine="m1")
    root = parse(draw_timeline([placed, waiting], {}, now=140.0))

    of_placed, of_waiting = (float(present(tone.get("width"))) for tone in of_class(root, "waiting"))
    (left, right), _ = bars(root).values()
    assert of_placed == pytest.approx((right - left) / 4, abs=0.2)
    assert of_waiting == pytest.approx(right - left, abs=0.2)
    assert any("after 10 s in the queue of m1" in title for title in bars(root))


def test_it_says_when_how_long_and_how_the_runs_went() -> None:
    root = parse(draw_timeline([run(1, 0.0, 60.0), run(2, 0.0, 5.0, state="failed")], {}, now=0.0, title="Build x"))

    assert texts(root)[:3] == [
        "Build x",
        "2 job runs in 1 m from 1970-01-01 00:00:00 UTC (1 failed, 1 done)",
        "critical path: 1 job run, 1 m",
    ]
    assert root.findtext(f"{SVG}desc") == "; ".join(texts(root)[1:3])


def test_a_run_that_has_not_ended_reaches_until_now() -> None:
    root = parse(draw_timeline([run(1, 0.0, 10.0), run(2, 10.0, None, state="running")], {2: [1]}, now=40.0))

    title, (left, right) = list(bars(root).items())[1]
    assert title == "//x:job: job/2 (running for 30 s), on the critical path"
    assert right - left > 500


def test_attempts_at_a_task_share_its_row() -> None:
    runs = [run(1, 0.0, 10.0, state="failed"), run(1, 11.0, 20.0, attempt=2), run(2, 0.0, 1.0)]
    root = parse(draw_timeline(runs, {}, now=0.0))

    rows = [present(group.find(f"{SVG}rect")).get("y") for group in of_class(root, "run")]
    assert len(set(rows)) == 2
    assert texts(root).count("job/1") == 1
    assert "(done after 9 s, attempt 2), on the critical path" in " ".join(bars(root))


def test_runs_that_took_no_time_or_ended_before_they_began_are_drawn_all_the_same() -> None:
    root = parse(draw_timeline([run(1, 5.0, 5.0), run(2, 9.0, 4.0)], {}, now=0.0))

    assert all(right - left >= 3 for left, right in bars(root).values())


def test_before_anything_has_started_it_says_so() -> None:
    assert texts(parse(draw_timeline([], {}, now=0.0))) == ["Job runs", "no job run has started"]


def test_bars_lead_to_where_the_caller_says() -> None:
    root = parse(draw_timeline([run(1, 0.0, 1.0, link="/job_runs/r1")], {}, now=0.0))

    assert [link.get("href") for link in root.iter(f"{SVG}a")] == ["/job_runs/r1"]


def test_hostile_names_stay_text() -> None:
    hostile = "<script>\x00&\"'"
    runs = [DrawnRun(hostile, 1, f"//x:{hostile}", hostile, "completed", 0.0, 9.0, 1, f"/x?{hostile}")]
    root = parse(draw_timeline(runs, {}, now=0.0, title=hostile))

    assert root[0].text == "<script>\ufffd&\"'"


def test_many_tasks_share_rows_and_no_bars_overlap() -> None:
    runs = [run(number, number * 1.0, number + 3.5) for number in range(1, 100)]
    root = parse(draw_timeline(runs, {}, now=0.0))

    rows: dict[str, list[tuple[float, float]]] = {}
    for group in of_class(root, "run"):
        box = present(group.find(f"{SVG}rect"))
        rows.setdefault(present(box.get("y")), []).append(
            (float(present(box.get("x"))), float(present(box.get("width"))))
        )
    assert len(rows) < 8
    for row in rows.values():
        row.sort()
        assert all(x + width <= after for (x, width), (after, _) in pairwise(row))


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50)), min_size=1, max_size=40))
@settings(deadline=None)
def test_runs_in_one_lane_never_overlap(times: list[tuple[float, float]]) -> None:
    spans = [Span(run(number, start, None), start + seconds) for number, (start, seconds) in enumerate(times)]

    lanes: dict[int, float] = {}
    for bar in lane_bars(spans, Scale(0.0, 150.0, 20.0, 1000.0)):
        assert bar.x >= lanes.get(bar.row, 20.0)
        lanes[bar.row] = bar.x + bar.width


def test_of_very_many_runs_the_critical_path_failures_and_the_longest_are_drawn_and_the_rest_told() -> None:
    runs = [run(number, number * 1.0, number + 1.5, job=f"job{number % 30}") for number in range(1, 5001)]
    runs[10] = runs[10]._replace(state="failed")
    runs[20] = runs[20]._replace(end=4000.0)
    upstream = {5000: [3], 3: [2]}

    root = parse(draw_timeline(runs, upstream, now=0.0))

    assert len(of_class(root, "run")) == MAX_BARS
    assert len(of_class(root, "critical")) == 3
    assert len([run for run in of_class(root, "run") if "state-failed" in present(run.get("class"))]) == 1
    assert any("done after 1 h 6 m" in title for title in titles(of_class(root, "run")))
    rest = [text for text in texts(root) if " more, " in text]
    assert len(rest) == 21
    assert rest[-1].startswith("10 other jobs: ")
    told = sum(int(present(re.search(r"([\d,]+) more", text))[1].replace(",", "")) for text in rest)
    assert told == 5000 - MAX_BARS
    assert f"critical path: 3 job runs, 4.5 s; the {MAX_BARS} that matter most are drawn one by one" in texts(root)


def test_a_critical_path_that_is_too_long_is_drawn_in_part() -> None:
    runs = [run(number, number * 1.0, number + 1.0) for number in range(1, 1001)]
    root = parse(draw_timeline(runs, {number: [number - 1] for number in range(2, 1001)}, now=0.0))

    assert len(of_class(root, "run")) == len(of_class(root, "critical")) == MAX_BARS


def test_the_critical_path_leads_back_from_what_ended_last() -> None:
    runs = [run(1, 0, 5), run(2, 0, 9), run(3, 9, 12), run(4, 0, 11)]

    assert critical_path(runs, {3: [1, 2]}) == ("r2.1", "r3.1")


def test_a_task_that_was_retried_waited_for_its_former_attempt() -> None:
    runs = [run(1, 0, 5), run(2, 5, 6, state="failed"), run(2, 8, 9, attempt=2)]

    assert critical_path(runs, {2: [1]}) == ("r1.1", "r2.1", "r2.2")


def test_a_task_waits_for_the_newest_attempt_of_an_upstream_task() -> None:
    runs = [run(1, 0, 7, state="failed"), run(1, 7, 8, attempt=2), run(2, 0, 7.5), run(3, 8, 9)]

    assert critical_path(runs, {3: [1, 2]}) == ("r1.1", "r1.2", "r3.1")


def test_runs_in_progress_end_last() -> None:
    runs = [run(1, 0, 5), run(2, 5, None), run(3, 0, 100)]

    assert critical_path(runs, {2: [1]}) == ("r1.1", "r2.1")


def test_upstream_tasks_that_did_not_run_were_not_waited_for() -> None:
    assert critical_path([run(2, 0, 5)], {2: [1]}) == ("r2.1",)


def test_tasks_that_claim_to_wait_for_each_other_end_the_path() -> None:
    assert critical_path([run(1, 0, 5), run(2, 5, 6)], {1: [2], 2: [1]}) == ("r1.1", "r2.1")


def test_without_runs_there_is_no_critical_path() -> None:
    assert critical_path([], {}) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0804, "80 ms"),
        (0.9996, "1 s"),
        (12.5, "12.5 s"),
        (59.96, "1 m"),
        (90, "1 m 30 s"),
        (3600, "1 h"),
        (3661, "1 h 1 m"),
        (86400 * 3 + 3600 * 5, "3 d 5 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(1e-6, 1e10))
@settings(deadline=None)
def test_an_axis_has_a_few_marks_within_its_length(seconds: float) -> None:
    marks = ticks(seconds, 10)

    assert 1 <= len(marks) <= 11
    assert marks[0] == 0
    assert marks == sorted(set(marks))
    assert marks[-1] <= seconds * (1 + 1e-6)


@pytest.mark.parametrize(
    ("seconds", "step"), [(0.05, 0.01), (1.0, 0.2), (45.0, 5.0), (300.0, 60.0), (3600.0, 600.0), (86400.0, 10800.0)]
)
def test_the_marks_of_an_axis_are_at_round_durations(seconds: float, step: float) -> None:
    assert ticks(seconds, 10)[1] == pytest.approx(step)
