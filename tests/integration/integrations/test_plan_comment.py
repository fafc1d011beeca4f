"""Comments about plans count stale data by job, and names in plans add no markup."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.plan_comment import MAX_COMMENT, MAX_JOBS, StaleJob, comment, marker, stale_jobs


def partition(job: str, reason: str, *, version: str = "v", task: int = 1) -> dict[str, Any]:
    return {"job_label": job, "reason": reason, "version": version, "task_id": task}


def plan(*partitions: dict[str, Any], label: str = "//:graph", warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    tasks = [row for row in partitions if row["task_id"]]
    return {
        "graph_label": label,
        "requested": ["a"],
        "partitions": partitions,
        "tasks": tasks,
        "warnings": list(warnings),
    }


def test_existing_data_is_stale_and_other_data_is_absent() -> None:
    rows = stale_jobs(
        plan(
            partition("//:few", "CODE_CHANGED"),
            partition("//:many", "INPUT_CHANGED"),
            partition("//:many", "CODE_CHANGED"),
            partition("//:many", "INPUT_CHANGED"),
            partition("//:few", "MISSING", version=""),
            partition("//:new", "MISSING", version=""),
            partition("//:kept", "UP_TO_DATE", task=0),
        )
    )
    assert rows == [
        StaleJob("//:many", 3, 0, {"input changed": 2, "code changed": 1}),
        StaleJob("//:few", 1, 1, {"code changed": 1}),
        StaleJob("//:new", 0, 1, {}),
    ]


def test_a_plan_without_tasks_has_no_table() -> None:
    text = comment(plan(partition("//:kept", "UP_TO_DATE", task=0)))
    assert "makes no partition stale" in text
    assert "|" not in text


def test_rows_beyond_the_maximum_are_counted() -> None:
    jobs = [partition(f"//:job{number:03}", "CODE_CHANGED") for number in range(MAX_JOBS + 2)]
    lines = comment(plan(*jobs)).splitlines()
    assert lines[-2] == "| and 2 more jobs | | | |"
    assert lines[-1] == f"| **Total** | **{MAX_JOBS + 2}** | **0** | |"


def test_a_comment_is_never_longer_than_a_code_host_takes() -> None:
    jobs = [partition(f"//:{number:03}{'_' * 3000}", "CODE_CHANGED") for number in range(MAX_JOBS)]
    label = f"//:{'*' * 3000}"
    text = comment(plan(*jobs, label=label, warnings=("&" * 30_000,) * 20))
    assert len(text) <= MAX_COMMENT
    assert text.startswith(f"{marker(label)}\n")
    assert f"| **Total** | **{MAX_JOBS}** | **0** | |" in text
    assert " more jobs | | | |" in text
    assert text.count("⚠️") == 10


NAMES = ["--><script>", "a|b", "@all", "[x](y)", "`a`", "a\nb", "$x$ %1 ^2", "a\u2028/close", "a\x85b"]


@pytest.mark.parametrize("name", NAMES)
def test_names_add_no_markup(name: str) -> None:
    label = f"//:{name}"
    text = comment(plan(partition(label, "CODE_CHANGED"), label=label, warnings=(name,)))
    first, *rest = text.splitlines()
    assert first == marker(label)
    assert first.count("-->") == 1
    assert len(rest) == 10
    for character in "<>@`[]$%^":
        assert all(f"\\{character}" in line for line in rest if character in line)
    assert [line.replace("\\|", "").count("|") for line in rest if line.startswith("|")] == [5, 5, 5, 5]
