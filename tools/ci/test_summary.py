"""Tests of the summary of all tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.ci.summary import Counts, main, summary

PYTEST = '<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="{}" failures="{}" skipped="{}" tests="{}">'


class Events:
    """The build events of a workspace."""

    def __init__(self, folder: Path, name: str = "databuild") -> None:
        self._folder = folder
        self._file = folder / f"{name}.json"
        self._file.touch()

    def ran(self, label: str, report: str | None, *, shard: int = 1, attempt: int = 1) -> None:
        """Adds the result of a shard of a test."""
        outputs = []
        if report is not None:
            path = self._folder / f"{label.rpartition(':')[2]} {shard} {attempt}.xml"
            path.write_text(report)
            outputs = [{"name": "test.log", "uri": "file:///none"}, {"name": "test.xml", "uri": path.as_uri()}]
        id_ = {"label": label, "run": 1, "shard": shard, "attempt": attempt}
        self._add({"id": {"testResult": id_}, "testResult": {"testActionOutput": outputs}})

    def ended(self, label: str, status: str = "PASSED") -> None:
        """Adds the status of a test."""
        self._add({"id": {"testSummary": {"label": label}}, "testSummary": {"overallStatus": status}})

    def skipped(self, label: str) -> None:
        """Adds a test that cannot run on this machine."""
        self._add({"id": {"targetCompleted": {"label": label}}, "aborted": {"reason": "SKIPPED"}})

    def _add(self, event: dict[str, Any]) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(event) + "\n")


def test_test_cases_of_all_shards_and_workspaces_are_counted(tmp_path: Path) -> None:
    events, others = Events(tmp_path), Events(tmp_path, "smoke")
    events.ran("//a:one", PYTEST.format(0, 0, 1, 5), shard=1)
    events.ran("//a:one", PYTEST.format(0, 0, 0, 3), shard=2)
    events.ended("//a:one")
    events.skipped("//a:two")
    others.ran("//:shell", '<testsuites>\n <testsuite name="shell" tests="1" failures="0" errors="0">')
    others.ended("//:shell")

    assert summary(tmp_path, 0) == ([], Counts(passed=8, failed=0, skipped=2))


def test_failures_are_listed_with_their_test_cases(tmp_path: Path) -> None:
    events = Events(tmp_path)
    events.ran("//a:one", PYTEST.format(1, 2, 0, 10))
    events.ended("//a:one", "FAILED")

    assert summary(tmp_path, 1) == (["FAILED: //a:one"], Counts(passed=7, failed=4))


@pytest.mark.parametrize("report", [None, "", PYTEST.format(0, 0, 0, 2)])
def test_a_failed_target_without_a_failed_test_case_counts(tmp_path: Path, report: str | None) -> None:
    events = Events(tmp_path)
    events.ran("//a:one", report)
    events.ended("//a:one", "TIMEOUT")

    failures, counts = summary(tmp_path, 0)

    assert failures == ["TIMEOUT: //a:one"]
    assert counts.failed == 1


def test_a_target_that_does_not_build_counts(tmp_path: Path) -> None:
    Events(tmp_path).ended("//a:one", "FAILED_TO_BUILD")

    assert summary(tmp_path, 0) == (["FAILED_TO_BUILD: //a:one"], Counts(failed=1))


def test_the_last_attempt_counts(tmp_path: Path) -> None:
    events = Events(tmp_path)
    events.ran("//a:one", PYTEST.format(0, 1, 0, 2), attempt=1)
    events.ran("//a:one", PYTEST.format(0, 0, 0, 2), attempt=2)
    events.ended("//a:one", "FLAKY")

    assert summary(tmp_path, 0) == ([], Counts(passed=2))


def test_the_last_line_is_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = Events(tmp_path)
    events.ran("//a:one", PYTEST.format(0, 1, 1, 4))
    events.ended("//a:one", "FAILED")

    assert main(tmp_path, 0) == 0
    assert capsys.readouterr().out == "FAILED: //a:one\n2 passed, 1 failed, 1 skipped\n"


def test_no_test_at_all_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Events(tmp_path)

    assert main(tmp_path, 0) == 4
    assert capsys.readouterr() == ("0 passed, 0 failed\n", "No test ran.\n")
