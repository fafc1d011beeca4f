"""Checks of a value against those of earlier partitions, from the task description to the report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from databuild.event_log.open import open_event_log
from databuild.graph.catalog import Job, JobCatalog
from databuild.job import Run
from databuild.model.job_graph import JobConfig, Task
from databuild.orchestration.comparisons.measurements import earlier_measurements
from databuild.orchestration.jobs.task_descriptions import TaskDescriptions
from databuild.testing import JobUnderTest
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present
from tests.support.reported_days import JOB, dated_catalog, day, report_days

_HISTORY = [{"rows": value} for value in (100.0, 104, 96, 100, 98, 102)]


def _checked(folder: Path, value: float, history: Sequence[dict[str, float]] | None, **options: Any) -> dict[str, Any]:
    """Returns the report of a check, with the answer of `check_range` as `answer`."""
    answers: list[bool] = []

    def run(run: Run) -> None:
        answers.append(run.check_range("rows", value, **options))

    result = JobUnderTest(run).execute(folder=folder, outputs=["day/x"], history=history)
    if result.error is not None:
        raise result.error
    (metric,) = result.of("metric")
    (check,) = result.of("check")
    assert metric == {"name": "rows", "value": value, "unit": "", "ref": "day/x"}
    return {**check, "answer": answers[0]}


@pytest.mark.parametrize(
    ("value", "usual", "passed", "words"),
    [
        (70, "30%", True, "rows is 70, 30 % below the median 100 of the last 6; 30 % is usual"),
        (69, "30%", False, "rows is 69, 31 % below the median 100 of the last 6; 30 % is usual"),
        (100, 0, True, "rows is 100, equal to the median 100 of the last 6; 0 % is usual"),
        (151, 0.5, False, "rows is 151, 51 % above the median 100 of the last 6; 50 % is usual"),
    ],
)
def test_a_value_is_compared_with_the_median(
    tmp_path: Path, value: float, usual: str | float, passed: bool, words: str
) -> None:
    check = _checked(tmp_path, value, _HISTORY, usual=usual, severity="warning")

    assert (check["answer"], check["passed"], check["message"]) == (passed, passed, words)
    assert (check["name"], check["ref"], check["severity"]) == ("rows", "day/x", "SEVERITY_WARNING")


@pytest.mark.parametrize("history", [[], _HISTORY[:4], [{"other": 1.0}] * 9])
def test_few_earlier_values_pass(tmp_path: Path, history: list[dict[str, float]]) -> None:
    check = _checked(tmp_path, 7, history)

    assert check["passed"] is True
    assert "earlier values are too few" in check["message"]


def test_a_median_of_zero_allows_nothing_else(tmp_path: Path) -> None:
    zeros = [{"rows": 0.0}] * 5

    assert _checked(tmp_path, 0, zeros)["passed"] is True
    assert _checked(tmp_path, 1, zeros)["message"] == "rows is 1, above the median 0 of the last 5; 30 % is usual"


@pytest.mark.parametrize("usual", ["30", "x%", "-1%", -1, float("nan"), "inf%"])
def test_usual_is_a_share(tmp_path: Path, usual: str | float) -> None:
    if usual == "30":
        assert _checked(tmp_path, 1, _HISTORY, usual=usual)["passed"] is True  # thirty times the median
        return
    with pytest.raises(ValueError, match="must be a share"):
        _checked(tmp_path, 1, _HISTORY, usual=usual)


def test_a_job_without_history_is_told_to_declare_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="add history = 30 to the databuild_job"):
        _checked(tmp_path, 1, None)
    with pytest.raises(ValueError, match="'day/y' is not an output"):
        _checked(tmp_path, 1, _HISTORY, ref="day/y")


def test_a_program_that_was_started_by_hand_passes() -> None:
    assert Run([], {}).check_range("rows", 7) is True


async def _description(history: int, outputs: Sequence[str]) -> dict[str, Any]:
    log = open_event_log("memory:")
    await report_days(log, [float(number) for number in range(40)])
    job = Job(label=JOB, executable="", outputs=dated_catalog().jobs[JOB].outputs, history=history)
    task = Task(1, JOB, JobConfig(outputs=tuple(outputs)), (), "")
    settled = asyncio.Event()

    async def settle() -> None:
        settled.set()

    catalog = JobCatalog(graph_label="//:g", jobs={JOB: job})
    descriptions = TaskDescriptions(catalog, log.reader(), {"b.1.1": (task, pt.Manifest())}, lambda _: None, settle)
    parts = [part async for part in present(descriptions.describe("b.1.1"))]
    await log.close()
    assert settled.is_set() is bool(history)
    described: dict[str, Any] = json.loads(b"".join(parts))
    return described


async def test_a_description_has_the_numbers_of_earlier_partitions() -> None:
    first, last = (await _description(3, [day(2), day(60)]))["outputs"]

    assert [one["ref"] for one in last["history"]] == [day(39), day(38), day(37)]
    assert last["history"][0]["numbers"] == {"rows": 39.0, "read": 78.0, "duration": 2.0}
    assert [one["ref"] for one in first["history"]] == [day(1), day(0)]


async def test_a_job_that_does_not_ask_has_no_history() -> None:
    (output,) = (await _description(0, [day(60)]))["outputs"]

    assert "history" not in output


async def test_partitions_far_apart_have_their_own_history() -> None:
    log = open_event_log("memory:")
    await report_days(log, [float(number) for number in range(40)])
    refs = [day(number) for number in (3, 4, 20, 39)]
    series = present(dated_catalog().series_of(refs[0]))
    found = earlier_measurements(log.reader(), series, refs, 2)
    await log.close()

    assert {ref: [one.ref for one in earlier] for ref, earlier in found.items()} == {
        day(number): [day(number - 1), day(number - 2)] for number in (3, 4, 20, 39)
    }
