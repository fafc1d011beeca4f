"""Reports show what the records and events of a build say, and texts of jobs add no markup to them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from databuild.errors import BuildPrunedError
from databuild.model.records import BuildRecord, FailureRecord, JobRunRecord
from databuild.model.statuses import BuildStatus, JobStatus
from databuild.reports.build_report import MAX_TAILS, BuildReport, collect_report
from databuild.reports.job_rows import JobRow, job_rows
from databuild.reports.markdown import MAX_ITEMS
from databuild.reports.report_formats import ENDINGS, render
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2 as pl

BUILD: Final = "20261123T095142Z-7k3f9q"
GRAPH: Final = "//examples:build_graph"
HOSTILE: Final = "<script>alert(1)</script> ]]> &amp; | **x** `y` ``` \x00 [a](javascript:b) <!-- @all \ud83d".encode(
    errors="replace"
).decode()


def build_record(
    status: BuildStatus = "FAILED", failure: FailureRecord | None = None, pruned: float = 0
) -> BuildRecord:
    return BuildRecord(
        BUILD, status, GRAPH, ("daily/1", "daily/2"), 1795000000.0, 1795000065.5, 20, 4, 2, 1, 2, 1, 1,
        failure=failure, pruned_time=pruned,
    )  # fmt: skip


def job_run(
    task: int, status: JobStatus, *, attempt: int = 1, label: str = "//:daily", failure: FailureRecord | None = None
) -> JobRunRecord:
    started = 1795000000.0 + task if attempt else 0.0
    return JobRunRecord(
        f"{BUILD}.{task}.{attempt}", BUILD, task * 10 + attempt, task, label, attempt, status,
        started_time=started, ended_time=started and started + 2.5, duration_seconds=2.5 if attempt else 0.0,
        failure=failure,
    )  # fmt: skip


def tasks(*outputs: str, label: str = "//:daily") -> ev.BuildEvent:
    graph = ev.JobGraphEvent(total_tasks=len(outputs))
    for number, output in enumerate(outputs, 1):
        config = {"outputs": [pt.PartitionRef(str=ref) for ref in output.split()]}
        upstream = [number - 1] if number > 1 else []
        graph.tasks.append(pl.Task(task_id=number, job_label=label, config=config, upstream_task_ids=upstream))
    return ev.BuildEvent(job_graph=graph)


def check(
    task: int,
    name: str,
    *,
    passed: bool,
    severity: pt.CheckResult.Severity = pt.CheckResult.SEVERITY_UNSPECIFIED,
    ref: str = "",
    message: str = "",
) -> ev.BuildEvent:
    result = pt.CheckResult(name=name, passed=passed, severity=severity, ref=ref, message=message)
    return ev.BuildEvent(check=ev.CheckEvent(job_run_id=f"{BUILD}.{task}.1", result=result))


def delegation(build: str, *refs: str, label: str = "//:raw") -> ev.BuildEvent:
    partitions = [pt.PartitionRef(str=ref) for ref in refs]
    return ev.BuildEvent(
        delegation=ev.DelegationEvent(delegated_to_build_request_id=build, job_label=label, partitions=partitions)
    )


@dataclass
class Records:
    """Has the given job runs and events."""

    runs: Sequence[JobRunRecord] = ()
    facts: Sequence[ev.BuildEvent] = ()
    tails_read: list[str] = field(default_factory=list)

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        return [run for run in self.runs if run.number > after][:limit]

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[ev.BuildEvent]:
        for number, event in enumerate(self.facts, 1):
            event.sequence = number
        return self.facts[after_sequence : after_sequence + limit]

    def tail(self, job_run: JobRunRecord, stream: str) -> bytes:
        self.tails_read.append(job_run.job_run_id)
        return f"the end of {stream} of {job_run.job_run_id}\n".encode() + b"\xff"

    def report(self, build: BuildRecord | None = None) -> BuildReport:
        return collect_report(self, build or build_record(), self.tail)


USER: Final = FailureRecord("USER", "exit code 3")


@pytest.fixture
def mixed() -> BuildReport:
    """A build with every kind of task: done, repeated, failed, lost, skipped, and not reached."""
    return Records(
        [
            job_run(1, "COMPLETED"),
            job_run(2, "FAILED", failure=USER),
            job_run(2, "COMPLETED", attempt=2),
            job_run(3, "FAILED", failure=USER),
            job_run(3, "FAILED", attempt=2, failure=FailureRecord("TIMEOUT", "no end after 5 s")),
            job_run(4, "FAILED", failure=FailureRecord("LOST", "the engine does not know it")),
            job_run(5, "SKIPPED", attempt=0, failure=FailureRecord("UPSTREAM", "daily/3 failed")),
        ],
        [
            ev.BuildEvent(build_request=ev.BuildRequestEvent(warnings=["daily/1 looks odd"])),
            delegation("20261122T000000Z-000000", "raw/1", "raw/2"),
            tasks("daily/1", "daily/2 daily/2b", "daily/3", "daily/4", "daily/5", "daily/6"),
            check(1, "rows", passed=True, ref="daily/1"),
            check(1, "nulls", passed=False, severity=pt.CheckResult.SEVERITY_WARNING, message="2 of 10"),
            check(2, "rows", passed=False, severity=pt.CheckResult.SEVERITY_ERROR, ref="daily/2", message="none"),
        ],
    ).report()


def test_tasks_have_their_runs_and_checks_their_jobs(mixed: BuildReport) -> None:
    assert [(task.name, task.status, len(task.runs)) for task in mixed.tasks] == [
        ("daily/1", "COMPLETED", 1),
        ("daily/2 and 1 more", "COMPLETED", 2),
        ("daily/3", "FAILED", 2),
        ("daily/4", "FAILED", 1),
        ("daily/5", "SKIPPED", 1),
        ("daily/6", "", 0),
    ]
    assert [check.job_label for check in mixed.checks] == ["//:daily"] * 3
    assert job_rows(mixed.tasks) == [JobRow("//:daily", 6, 2, 2, 2, 6, 15.0)]


def test_a_report_of_many_failures_quotes_some_logs_and_counts_the_others() -> None:
    number = MAX_TAILS + 5
    records = Records(
        [job_run(task, "FAILED", failure=USER) for task in range(1, number + 1)],
        [tasks(*(f"daily/{task}" for task in range(number)))],
    )
    report = records.report()
    assert report.omitted_tails == 5
    assert len(set(records.tails_read)) == MAX_TAILS
    for report_format in ("markdown", "html"):
        assert "The logs of 5 more failed job runs were not read." in render(report, report_format)
    assert f"and {number - MAX_ITEMS} more failed tasks" in render(report, "markdown")


def test_a_pruned_build_has_no_report() -> None:
    with pytest.raises(BuildPrunedError, match="no report can be made"):
        Records().report(build_record(pruned=1.0))


# JUnit: elements with their children and attributes, by the schema junit-10.xsd of Jenkins' xUnit plug-in.
_TEXT: Final[tuple[set[str], set[str], set[str]]] = (set(), set(), set())
_RESULT: Final[tuple[set[str], set[str], set[str]]] = (set(), set(), {"type", "message"})
_RERUN: Final = ({"stackTrace", "system-out", "system-err"}, {"type"}, {"message"})
_JUNIT: Final[dict[str, tuple[set[str], set[str], set[str]]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "testcase": (
        {"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out"}
        | {"system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "failure": _RESULT, "error": _RESULT, "skipped": _RESULT,
    "rerunFailure": _RERUN, "flakyFailure": _RERUN,
    "system-out": _TEXT, "system-err": _TEXT,
}  # fmt: skip
_TIME: Final = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def valid(text: str) -> ET.Element:
    """Parses a report and checks it against the schema and its own numbers."""
    root = ET.fromstring(text)
    for element in root.iter():
        children, required, optional = _JUNIT[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert required <= set(element.attrib) <= required | optional, element.tag
        assert element.tag == "testcase" or _TIME.fullmatch(element.get("time", ""))
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == len(suite.findall(f"testcase/{tag}"))
    for attribute in ("tests", "failures", "errors"):
        assert int(root.attrib[attribute]) == sum(int(suite.attrib[attribute]) for suite in root)
    return root


def test_junit_has_a_case_for_each_task_check_and_taken_partition(mixed: BuildReport) -> None:
    root = valid(render(mixed, "junit"))
    results = {
        suite.attrib["name"]: {
            case.attrib["name"]: [(child.tag, child.get("type", "")) for child in case] for case in suite
        }
        for suite in root
    }
    logs = [("system-out", ""), ("system-err", "")]
    assert results == {
        f"build {BUILD}": {f"build {BUILD}": [("system-err", "")]},
        "//:daily": {
            "daily/1": [],
            "daily/2 and 1 more": [("flakyFailure", "USER")],
            "daily/3": [("failure", "TIMEOUT"), ("rerunFailure", "USER"), *logs],
            "daily/4": [("error", "LOST"), *logs],
            "daily/5": [("skipped", "UPSTREAM")],
            "daily/6": [("skipped", "FAILED")],
        },
        "//:raw": {"raw/1": [("skipped", "DELEGATED")], "raw/2": [("skipped", "DELEGATED")]},
        "//:daily checks": {
            "rows of daily/1": [],
            "nulls": [("skipped", "WARNING")],
            "rows of daily/2": [("failure", "ERROR")],
        },
    }


@pytest.mark.parametrize(
    ("status", "failure", "result"),
    [
        ("FAILED", FailureRecord("USER", "no job produces daily/1"), ("error", "USER")),
        ("CANCELLED", FailureRecord("CANCELLED", "cancelled by ada"), ("skipped", "CANCELLED")),
        ("EXECUTING", None, ("skipped", "EXECUTING")),
        ("COMPLETED", None, None),
    ],
)
def test_junit_tells_of_a_build_without_a_failed_task(
    status: BuildStatus, failure: FailureRecord | None, result: tuple[str, str] | None
) -> None:
    root = valid(render(Records().report(build_record(status, failure)), "junit"))
    [case] = root.iter("testcase")
    assert [(child.tag, child.get("type")) for child in case] == ([result] if result else [])


def test_markdown_reads_as_a_summary(mixed: BuildReport) -> None:
    assert render(mixed, "markdown").splitlines()[:19] == [
        f"## ❌ Build `{BUILD}` FAILED",
        "",
        f"`{GRAPH}`, 1 m 6 s",
        "",
        "- **Requested:** `daily/1`, `daily/2`",
        "- **Tasks:** 6, 2 completed, 2 failed",
        "- **Partitions:** 2 built, 1 taken from other builds, 1 failed",
        "- ⚠️ daily/1 looks odd",
        "",
        "### Failed tasks",
        "",
        "**//:daily**: `daily/3`, attempt 2, TIMEOUT: no end after 5 s",
        "",
        f"<details><summary>The end of its standard error (<code>{BUILD}.3.2</code>)</summary>",
        "",
        "```text",
        f"the end of stderr of {BUILD}.3.2",
        "\ufffd",
        "```",
    ]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


@pytest.mark.parametrize("report_format", ENDINGS.values())
def test_hostile_texts_add_no_markup(report_format: str) -> None:
    class Hostile(Records):
        def tail(self, job_run: JobRunRecord, stream: str) -> bytes:
            return HOSTILE.encode()

    failure = FailureRecord("USER", HOSTILE)
    records = Hostile(
        [job_run(1, "FAILED", label=HOSTILE, failure=failure)],
        [
            tasks("daily/1", label=HOSTILE),
            check(1, HOSTILE, passed=False, severity=pt.CheckResult.SEVERITY_ERROR, ref=HOSTILE, message=HOSTILE),
            delegation(HOSTILE, HOSTILE, label=HOSTILE),
            ev.BuildEvent(build_request=ev.BuildRequestEvent(warnings=[HOSTILE])),
        ],
    )
    text = render(records.report(build_record(failure=failure)), report_format)
    if report_format == "junit":
        valid(text)
        assert "\x00" not in text
    elif report_format == "json":
        assert json.loads(text)["checks"][0]["name"] == HOSTILE
    elif report_format == "html":
        parser = _Tags()
        parser.feed(text)
        assert "script" not in parser.names
        assert parser.addresses == []
    else:
        # The log is in a fence that is longer than all of its backticks; outside, no tag but ours and no mention.
        outside = re.sub(r"(?ms)^(`{4,})text$.*?^\1$", "", text)
        assert outside != text
        outside = re.sub(r"(`+) .*? \1(?!`)", "", outside)
        assert set(re.findall(r"(?<!\\)<(/?\w+)", outside)) == {
            "details", "summary", "code", "/code", "/summary", "/details",
        }  # fmt: skip
        assert not re.search(r"(?<!\\)[@\[|]", outside.partition("### Jobs")[0])
