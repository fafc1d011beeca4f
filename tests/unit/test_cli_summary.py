"""The result of a build names built, reused and failed partitions and the next step."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, cast

import pytest

from databuild.cli.backend.build_outcome import summarize
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.local_backend import LocalBackend
from databuild.cli.backend.summary import exit_code_of_result, print_summary
from databuild.cli.display.output import Output
from databuild.event_log.reads import Reader
from databuild.model.build_counts import BuildCounts
from databuild.model.records import BuildPartitionRecord, BuildRecord, FailureRecord, JobRunRecord
from databuild.model.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.model.statuses import PartitionStatus
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

BUILD = "20261123T095142Z-7k3f9q"
PAST = "20261122T000000Z-000000"
GRAPH = "//examples:build_graph"


class FakeReader:
    """Has one build of many partitions and the given runs."""

    def __init__(self, refs: Iterable[str] = (), runs: Sequence[JobRunRecord] = ()) -> None:
        self.refs = sorted(refs)
        self.runs = runs

    def build(self, build_request_id: str) -> BuildRecord:
        return BuildRecord(build_request_id, "COMPLETED", GRAPH, ("daily/1",), 1795000000.0, 1795000002.0, 9)

    def build_partitions(
        self, build_request_id: str, *, status: PartitionStatus, after: str = "", limit: int = 1000
    ) -> list[BuildPartitionRecord]:
        return [BuildPartitionRecord(ref, status, 1) for ref in self.refs if ref > after][:limit]

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        return self.runs


class Tell(Protocol):
    """Returns the summary of a build."""

    def __call__(
        self, result: BuildResult, reader: FakeReader, counts: BuildCounts | None = None, output: str = "text"
    ) -> str: ...


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps({"graphLabel": GRAPH}))

    def call(result: BuildResult, reader: FakeReader, counts: BuildCounts | None = None, output: str = "text") -> str:
        out = io.StringIO()
        invocation = Invocation(
            "build",
            {"output": output, "state_dir": str(tmp_path)},
            catalog_path=str(catalog),
            environ={"BUILD_WORKING_DIRECTORY": str(tmp_path)},
            open_backend=LocalBackend,
            out=Output(out),
            err=Output(io.StringIO()),
        )
        print_summary(invocation, summarize(cast("Reader", reader), BUILD, result), counts or BuildCounts())
        return out.getvalue()

    return call


FAILED_RUN = JobRunRecord(
    job_run_id=f"{BUILD}.1.1",
    build_request_id=BUILD,
    number=5,
    task_id=1,
    job_label="//examples:daily",
    attempt=1,
    status="FAILED",
    exit_code=7,
    failure=FailureRecord("USER", "ended with exit code 7"),
)


def test_a_success_says_what_was_built_and_how_long_it_took(tell: Tell) -> None:
    text = tell(Success(jobs_completed=1), FakeReader(["daily/1"]))

    assert text == f"built 1 partition in 1 job run: daily/1\nbuild {BUILD} COMPLETED in 2.00 s\n"


def test_many_partitions_are_read_in_pages_and_told_as_a_number(tell: Tell) -> None:
    text = tell(Success(jobs_completed=2500), FakeReader([f"daily/{number:04}" for number in range(2500)]))

    assert "built 2500 partitions in 2500 job runs: daily/0000, daily/0001, daily/0002 and 2497 more\n" in text


def test_nothing_to_do_is_said(tell: Tell) -> None:
    assert "nothing to do" in tell(Success(), FakeReader())


def test_results_of_a_past_build_name_it(tell: Tell) -> None:
    counts = BuildCounts()
    delegation = ev.DelegationEvent(delegated_to_build_request_id=PAST, partitions=[pt.PartitionRef(str="daily/1")])
    counts.add(ev.BuildEvent(delegation=delegation))

    assert f"took 1 partition from build {PAST}: daily/1\n" in tell(Success(), FakeReader(), counts)


def test_a_delegation_that_failed_is_not_counted_as_taken_over(tell: Tell) -> None:
    counts = BuildCounts()
    refs = [pt.PartitionRef(str=ref) for ref in ("daily/1", "daily/2", "daily/3")]
    counts.add(
        ev.BuildEvent(delegation=ev.DelegationEvent(delegated_to_build_request_id=PAST, partitions=refs, running=True))
    )
    counts.add(ev.BuildEvent(partition=ev.PartitionEvent(ref="daily/2", status=pt.PARTITION_STATUS_FAILED)))

    text = tell(Failed(jobs_completed=1, jobs_failed=1), FakeReader(["daily/1"]), counts)

    assert "built 1 partition in 1 job run: daily/1\n" in text
    assert f"took 1 partition from build {PAST}: daily/3\n" in text


def test_a_failure_shows_the_end_of_its_stderr_and_the_next_steps(tell: Tell, tmp_path: Path) -> None:
    folder = tmp_path / "logs" / BUILD
    folder.mkdir(parents=True)
    (folder / f"{BUILD}.1.1.stderr").write_text("".join(f"line {number}\n" for number in range(100)))

    text = tell(FailFast(trigger_job="//examples:daily"), FakeReader(runs=[FAILED_RUN]))

    assert f"FAILED //examples:daily ({BUILD}.1.1)\n  USER: ended with exit code 7\n" in text
    assert "    line 99\n" in text
    assert "line 80\n" not in text
    assert f"logs: `bazel run {GRAPH} -- logs {BUILD}.1.1`\n" in text
    assert f"again: `bazel run {GRAPH} -- retry {BUILD}`\n" in text
    assert text.endswith(f"build {BUILD} FAILED in 2.00 s\n")


@pytest.mark.parametrize("stderr", [None, "", " \n\n"])
def test_a_failure_shows_the_end_of_its_stdout_where_its_stderr_is_empty(
    tell: Tell, tmp_path: Path, stderr: str | None
) -> None:
    folder = tmp_path / "logs" / BUILD
    folder.mkdir(parents=True)
    path = folder / f"{BUILD}.1.1.stdout"
    path.write_text("the reason\n\n")
    if stderr is not None:
        path.with_suffix(".stderr").write_text(stderr)

    text = tell(FailFast(trigger_job="//examples:daily"), FakeReader(runs=[FAILED_RUN]))

    assert f"  the end of its standard output, {path}:\n    the reason\nlogs: " in text


def test_failures_are_the_last_attempts_and_name_their_partitions(tell: Tell) -> None:
    counts = BuildCounts()
    for attempt in (1, 2):
        run = f"{BUILD}.1.{attempt}"
        for ref in ("daily/1", "daily/2"):
            building = ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_BUILDING, job_run_id=run)
            counts.add(ev.BuildEvent(partition=building))
        end = ev.JobEvent(job_run_id=run, status=ev.JOB_STATUS_FAILED, retried=attempt == 1)
        counts.add(ev.BuildEvent(job=end))
    for ref in ("daily/1", "daily/2"):
        failed = ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_FAILED, job_run_id=f"{BUILD}.1.2")
        counts.add(ev.BuildEvent(partition=failed))
    reader = FakeReader(runs=[FAILED_RUN, FAILED_RUN._replace(job_run_id=f"{BUILD}.1.2", attempt=2)])

    text = tell(Failed(jobs_failed=1), reader, counts)
    document = json.loads(tell(Failed(jobs_failed=1), reader, counts, "json"))

    assert counts.failed == 1
    assert [line for line in text.splitlines() if line.startswith(("FAILED", "logs"))] == [
        f"FAILED //examples:daily daily/1 and 1 more ({BUILD}.1.2)",
        f"logs: `bazel run {GRAPH} -- logs {BUILD}.1.2`",
    ]
    assert [(one["job_run_id"], one["partitions"]) for one in document["failures"]] == [
        (f"{BUILD}.1.2", ["daily/1", "daily/2"])
    ]


def test_tasks_that_were_not_reached_are_counted(tell: Tell) -> None:
    counts = BuildCounts()
    for ref, run in (("daily/1", f"{BUILD}.1.1"), ("sum/1", "")):
        failed = ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_FAILED, job_run_id=run)
        counts.add(ev.BuildEvent(partition=failed))

    text = tell(Failed(jobs_failed=1), FakeReader(runs=[FAILED_RUN]), counts)

    assert "not built: 1 partition downstream of a failure, or not reached\n" in text
    assert "\n  it wrote nothing\n" in text


def test_json_is_one_object_with_everything(tell: Tell) -> None:
    document = json.loads(
        tell(Failed(jobs_failed=1, message="1 task failed"), FakeReader(["a"], [FAILED_RUN]), None, "json")
    )

    assert document["build_request_id"] == BUILD
    assert (document["status"], document["exit_code"], document["message"]) == ("FAILED", 1, "1 task failed")
    assert document["built"] == ["a"]
    assert document["failures"][0]["category"] == "USER"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Success(), 0),
        (Failed(jobs_failed=1), 1),
        (FailFast(trigger_job="//a:b"), 1),
        (Failed(category=pt.FAILURE_CATEGORY_INFRASTRUCTURE), 3),
        (Cancelled(), 130),
    ],
)
def test_each_result_has_its_exit_code(result: BuildResult, code: int) -> None:
    assert exit_code_of_result(result) == code
