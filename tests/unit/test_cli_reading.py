"""The commands that only read print the records of the event log."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

import pytest

from databuild.cli.backend.local_backend import LocalBackend
from databuild.cli.display.output import Output
from databuild.cli.main import run
from databuild.errors import BuildNotFoundError
from databuild.event_log.coordination import ResourceUse
from databuild.event_log.reads import Reader
from databuild.model.records import (
    BuildPartitionRecord,
    BuildRecord,
    FailureRecord,
    JobRunRecord,
    PartitionRecord,
)
from databuild.model.statuses import PartitionStatus
from databuild.orchestration.coordination.build_ids import find_build
from tests.support.fake_reader import FakeReader

GRAPH = "//examples:build_graph"
OLD = "20261123T095142Z-7k3f9q"
NEW = "20261123T101500Z-0a1b2c"


def build_record(build_request_id: str, **facts: Any) -> BuildRecord:
    defaults = {
        "status": "COMPLETED",
        "graph_label": GRAPH,
        "requested": ("daily/1", "daily/2"),
        "received_time": 1795000000.0,
        "updated_time": 1795000003.5,
        "last_sequence": 20,
        "total_tasks": 2,
        "jobs_completed": 2,
    }
    return BuildRecord(build_request_id=build_request_id, **{**defaults, **facts})


class CommandLine(Protocol):
    """Runs a command, and returns its exit code, output and error output."""

    def __call__(
        self, *args: str, reader: FakeReader | None = None, sleep: Callable[[float], None] | None = None
    ) -> tuple[int, str, str]: ...


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"graph_label": GRAPH, "jobs": []}, indent=2))
    return path


@pytest.fixture
def cli(catalog: Path, tmp_path: Path) -> CommandLine:
    def call(
        *args: str, reader: FakeReader | None = None, sleep: Callable[[float], None] | None = None
    ) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = run(
            [f"--catalog={catalog}", f"--runfiles={tmp_path}", *args],
            out=Output(out),
            err=Output(err),
            environ={"BUILD_WORKSPACE_DIRECTORY": str(tmp_path), "BUILD_WORKING_DIRECTORY": str(tmp_path)},
            open_backend=lambda invocation: LocalBackend(invocation, cast("Reader | None", reader)),
            **({"sleep": sleep} if sleep else {}),
        )
        return code, out.getvalue(), err.getvalue()

    return call


FAILED_RUN = JobRunRecord(
    job_run_id=f"{NEW}.2.1",
    build_request_id=NEW,
    number=5,
    task_id=2,
    job_label="//examples:daily",
    attempt=1,
    status="FAILED",
    exit_code=7,
    failure=FailureRecord("USER", "ended with exit code 7"),
)


def test_latest_and_no_id_mean_the_newest_build() -> None:
    reader = FakeReader([build_record(OLD), build_record(NEW)])

    assert find_build(cast("Reader", reader)).build_request_id == NEW
    assert find_build(cast("Reader", reader), "latest").build_request_id == NEW


def test_the_beginning_of_an_id_is_enough_where_it_is_of_one_build() -> None:
    reader = FakeReader([build_record(OLD), build_record(NEW)])

    assert find_build(cast("Reader", reader), "20261123T09").build_request_id == OLD


def test_the_beginning_of_several_ids_names_them() -> None:
    reader = FakeReader([build_record(OLD), build_record(NEW)])

    with pytest.raises(BuildNotFoundError) as caught:
        find_build(cast("Reader", reader), "20261123")

    assert set(caught.value.candidates) == {OLD, NEW}


@pytest.mark.parametrize("text", ["nothing", "latest", ""])
def test_a_build_that_is_not_there_is_an_error(text: str) -> None:
    with pytest.raises(BuildNotFoundError):
        find_build(cast("Reader", FakeReader()), text)


def test_status_tells_how_a_build_stands(cli: CommandLine) -> None:
    code, out, _ = cli("status", reader=FakeReader([build_record(NEW)]))

    assert code == 0
    assert f"build      {NEW}  COMPLETED\n" in out
    assert "2: 2 completed, 0 failed, 0 not run\n" in out
    assert "duration 3.50 s" in out


def test_status_of_a_failed_build_names_the_next_steps(cli: CommandLine) -> None:
    failed = build_record(NEW, status="FAILED", jobs_failed=1, failure=FailureRecord("USER", "1 task failed"))

    reader = FakeReader([failed], [FAILED_RUN])
    reader.of_build = [BuildPartitionRecord("daily/2", "FAILED", 2, job_run_id=f"{NEW}.2.1")]

    code, out, _ = cli("status", reader=reader)

    assert code == 0
    assert f"failed     {NEW}.2.1  //examples:daily daily/2  USER: ended with exit code 7" in out
    assert f"bazel run {GRAPH} -- logs {NEW}.2.1" in out
    assert f"bazel run {GRAPH} -- retry {NEW}" in out


@pytest.mark.parametrize(
    ("later", "status", "shown"),
    [
        (FAILED_RUN._replace(job_run_id=f"{NEW}.2.2", attempt=2), "FAILED", ["failed     NEW.2.2"]),
        (FAILED_RUN._replace(job_run_id=f"{NEW}.2.2", attempt=2, status="CANCELLED"), "FAILED", ["retried    NEW.2.1"]),
        (FAILED_RUN._replace(job_run_id=f"{NEW}.2.0", attempt=0, status="CANCELLED"), "FAILED", ["retried    NEW.2.1"]),
        (
            FAILED_RUN._replace(job_run_id=f"{NEW}.2.2", attempt=2, status="COMPLETED"),
            "COMPLETED",
            ["retried    NEW.2.1"],
        ),
    ],
)
def test_status_tells_failed_tasks_from_attempts_that_others_followed(
    cli: CommandLine, later: JobRunRecord, status: str, shown: Sequence[str]
) -> None:
    reader = FakeReader([build_record(NEW, status=status)], [FAILED_RUN, later])

    _, out, _ = cli("status", reader=reader)

    lines = [line for line in out.splitlines() if line.startswith(("failed", "retried"))]
    assert [line.replace(NEW, "NEW").split("  //")[0] for line in lines] == list(shown)
    assert ("retry" in out.split("event log")[1].replace("retried", "")) == shown[0].startswith("failed")


def test_status_as_json_is_one_object(cli: CommandLine) -> None:
    failed = build_record(NEW, status="FAILED")
    _, out, _ = cli("status", NEW, "--output=json", reader=FakeReader([failed], [FAILED_RUN]))

    document = json.loads(out)
    assert document["build_request_id"] == NEW
    assert document["requested"] == ["daily/1", "daily/2"]
    assert document["failed_job_runs"][0]["failure"]["category"] == "USER"


def test_status_tells_the_size_of_the_log_and_what_it_holds_when_asked(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / ".databuild" / "examples" / "build_graph" / "logs" / NEW
    folder.mkdir(parents=True)
    (folder / f"{NEW}.1.1.stdout").write_bytes(b"x" * 2048)
    reader = FakeReader([build_record(OLD), build_record(NEW)])

    assert "event log  3.3 MiB\n" in cli("status", reader=reader)[1]
    _, out, _ = cli("status", "--sizes", reader=reader)
    assert "event log  3.3 MiB: 40 events, 2 builds, of which 1 pruned\njob logs   2.0 KiB\n" in out
    assert json.loads(cli("status", "--output=json", reader=reader)[1])["sizes"] == {"event_log_bytes": 3_500_000}
    assert json.loads(cli("status", "--output=json", "--sizes", reader=reader)[1])["sizes"] == {
        "event_log_bytes": 3_500_000,
        "builds": 2,
        "pruned_builds": 1,
        "events": 40,
        "job_log_bytes": 2048,
    }


def test_a_pruned_build_says_so(cli: CommandLine, tmp_path: Path) -> None:
    reader = FakeReader([build_record(NEW, pruned_time=1796000000.0)], [FAILED_RUN])

    assert "pruned     2026-11-30" in cli("status", reader=reader)[1]
    assert "the logs of build" in cli("logs", reader=reader)[2]
    assert "were pruned with it, 2026-11-30" in cli("logs", f"{NEW}.2.1", reader=reader)[2]
    assert "were pruned with it" in json.loads(cli("logs", "--output=json", reader=reader)[1])["pruned"]
    for args in (["events"], ["events", "--follow"], ["events", "diff", NEW, NEW]):
        code, out, err = cli(*args, reader=reader)
        assert (code, out) == (2, "")
        assert f"build {NEW} was pruned: its events are not kept any more; `status {NEW}`" in err


def test_logs_that_were_pruned_for_their_age_say_so(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / ".databuild" / "examples" / "build_graph" / "logs"
    folder.mkdir(parents=True)
    (folder / ".pruned_before").write_text("1795000004.0\n")
    old, new = build_record(OLD), build_record(NEW, updated_time=1795000005.0)

    assert (
        "were pruned for their age: logs of builds that ended before 2026-11-18"
        in cli("logs", OLD, reader=FakeReader([old, new]))[2]
    )
    assert "no job run of latest has written anything" in cli("logs", reader=FakeReader([old, new]))[2]
    assert cli("logs", f"{NEW}.2.1", reader=FakeReader([old, new], [FAILED_RUN]))[2].endswith(
        f"{NEW}.2.1 wrote nothing\n"
    )


@pytest.mark.parametrize("command", ["status", "logs", "report", "retry"])
def test_a_second_build_is_refused(cli: CommandLine, command: str) -> None:
    code, out, err = cli(command, NEW, OLD, reader=FakeReader([build_record(NEW), build_record(OLD)]))

    assert (code, out) == (2, "")
    assert err == f"databuild: {command} takes one BUILD, not 2; see `help {command}`\n"


def test_builds_takes_no_build(cli: CommandLine) -> None:
    code, _, err = cli("builds", NEW, reader=FakeReader([build_record(NEW)]))

    assert (code, err) == (
        2,
        f"databuild: builds takes only flags, not '{NEW}'; `status` shows one; see `help builds`\n",
    )


def test_status_of_no_build_makes_no_sense(cli: CommandLine) -> None:
    code, out, err = cli("status", "nothing", reader=FakeReader())

    assert (code, out) == (2, "")
    assert err == "databuild: there is no build 'nothing'; `builds` lists the builds\n"


def test_builds_are_paged_newest_first(cli: CommandLine) -> None:
    reader = FakeReader([build_record(OLD), build_record(NEW)])

    _, first, more = cli("builds", "--limit=1", reader=reader)
    _, second, _ = cli("builds", "--limit=1", f"--before={NEW}", reader=reader)

    assert NEW in first
    assert OLD not in first
    assert f"--before={NEW}" in more
    assert OLD in second


def test_builds_may_be_of_one_status(cli: CommandLine) -> None:
    reader = FakeReader([build_record(OLD), build_record(NEW, status="FAILED")])

    _, out, _ = cli("builds", "--status=FAILED", "--output=json", reader=reader)

    assert [build["build_request_id"] for build in json.loads(out)["builds"]] == [NEW]


def test_no_builds_is_an_answer(cli: CommandLine) -> None:
    assert cli("builds", reader=FakeReader())[:2] == (0, "no builds\n")


def partition(ref: str, status: PartitionStatus = "AVAILABLE") -> PartitionRecord:
    return PartitionRecord(ref=ref, status=status, build_request_id=NEW, time=1795000000.0, available=True)


def test_partitions_are_listed_by_prefix_and_paged(cli: CommandLine) -> None:
    reader = FakeReader(partitions=[partition("daily/1"), partition("daily/2"), partition("sum/1")])

    _, out, err = cli("partitions", "daily/", "--limit=2", reader=reader)

    assert "daily/2" in out
    assert "sum/1" not in out
    assert "--after=daily/2" in err
    assert "3 AVAILABLE" in err


def test_partitions_as_json_carry_counts(cli: CommandLine) -> None:
    reader = FakeReader(partitions=[partition("daily/1"), partition("daily/2", "FAILED")])

    _, out, _ = cli("partitions", "--status=FAILED", "--output=json", reader=reader)

    document = json.loads(out)
    assert [row["ref"] for row in document["partitions"]] == ["daily/2"]
    assert document["counts"] == {"AVAILABLE": 1, "FAILED": 1}


def logs_folder(tmp_path: Path) -> Path:
    folder = tmp_path / ".databuild" / "examples" / "build_graph" / "logs" / NEW
    folder.mkdir(parents=True)
    return folder


def test_logs_of_a_build_are_those_of_its_job_runs(cli: CommandLine, tmp_path: Path) -> None:
    folder = logs_folder(tmp_path)
    (folder / f"{NEW}.2.1.stdout").write_text("hello\n")
    (folder / f"{NEW}.2.1.stderr").write_text("oh no")

    code, out, _ = cli("logs", reader=FakeReader([build_record(NEW)], [FAILED_RUN]))

    assert code == 0
    assert out == (
        f"==> {NEW}.2.1 //examples:daily (stdout) <==\nhello\n==> {NEW}.2.1 //examples:daily (stderr) <==\noh no\n"
    )


def test_logs_of_a_job_run_as_json(cli: CommandLine, tmp_path: Path) -> None:
    (logs_folder(tmp_path) / f"{NEW}.2.1.stderr").write_text("oh no")

    _, out, _ = cli("logs", f"{NEW}.2.1", "--output=json", reader=FakeReader([build_record(NEW)], [FAILED_RUN]))

    assert json.loads(out)["job_runs"] == [
        {
            "job_run_id": f"{NEW}.2.1",
            "job_label": "//examples:daily",
            "status": "FAILED",
            "executor": "",
            "machine": "",
            "placed_time": 0.0,
            "queued_seconds": 0.0,
            "worker_id": "",
            "worker_request": 0,
            "stdout": "",
            "stderr": "oh no",
        }
    ]


def test_logs_are_followed_until_the_build_ends(cli: CommandLine, tmp_path: Path) -> None:
    path = logs_folder(tmp_path) / f"{NEW}.2.1.stdout"
    path.write_text("one\n")
    reader = FakeReader([build_record(NEW, status="EXECUTING")], [FAILED_RUN])
    reader.later = []
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        with path.open("a") as file:
            file.write("two\n")
        reader.later = [build_record(NEW)]

    code, out, _ = cli("logs", "--follow", reader=reader, sleep=sleep)

    assert code == 0
    assert len(slept) == 1
    assert out.endswith("<==\none\ntwo\n")


def test_following_the_logs_of_a_build_that_has_died_ends_and_says_so(cli: CommandLine, tmp_path: Path) -> None:
    (logs_folder(tmp_path) / f"{NEW}.2.1.stdout").write_text("one\n")
    reader = FakeReader([build_record(NEW, status="EXECUTING")], [FAILED_RUN])
    reader.dead = (NEW,)

    code, out, err = cli("logs", "--follow", reader=reader, sleep=lambda _: None)

    assert (code, out.splitlines()[-1]) == (0, "one")
    assert f"build {NEW} is dead" in err


@pytest.mark.parametrize("executor", ["", "dask://host:8786"])
def test_a_build_that_has_died_is_shown_as_such(cli: CommandLine, executor: str) -> None:
    reader = FakeReader([build_record(NEW, status="EXECUTING", updated_time=1795000003.5)])
    reader.dead = (NEW,)
    reader.executor = executor

    _, status, _ = cli("status", reader=reader)
    _, as_json, _ = cli("status", "--output=json", reader=reader)
    _, builds, _ = cli("builds", reader=reader)

    fault = "its orchestrator has not renewed its lease in time"
    next_step = "the next build ends it"
    if executor:
        next_step = "the next build on dask://host:8786 with the same code continues it, any other ends it"
    assert f"EXECUTING, but {fault}; {next_step}\n" in status
    assert "last event after 3.50 s" in status
    assert f"retry {NEW}" in status
    assert json.loads(as_json)["dead"] == fault
    assert "EXECUTING (dead)" in builds


def test_the_duration_of_a_live_build_is_measured_by_the_clock(cli: CommandLine) -> None:
    reader = FakeReader([build_record(NEW, status="EXECUTING", received_time=time.time() - 3600)])

    assert "running for 1 h 00 min" in cli("status", reader=reader)[1]
    assert "1 h 00 min" in cli("builds", reader=reader)[1]


@pytest.mark.parametrize("args", [["builds", "--limit=0"], ["partitions", "--limit", "0"]])
def test_a_page_has_at_least_one_line(cli: CommandLine, args: list[str]) -> None:
    code, _, err = cli(*args, reader=FakeReader())

    assert code == 2
    assert "--limit takes a whole number, 1 or more, not '0'" in err


def test_a_catalog_that_is_not_there_is_named() -> None:
    err = io.StringIO()

    code = run(["--catalog=/nowhere/catalog", "status"], out=Output(io.StringIO()), err=Output(err), environ={})

    assert code == 2
    assert err.getvalue().startswith("databuild: job catalog /nowhere/catalog: ")


def test_a_bug_is_reported_in_short_and_is_our_failure(cli: CommandLine) -> None:
    class BrokenReader(FakeReader):
        def builds(self, **_: object) -> NoReturn:
            raise ZeroDivisionError("nought")

    code, _, err = cli("status", reader=BrokenReader())

    assert code == 3
    assert err.startswith("databuild: internal error: ZeroDivisionError: nought")


def test_an_interrupted_command_says_so(cli: CommandLine) -> None:
    class SlowReader(FakeReader):
        def builds(self, **_: object) -> NoReturn:
            raise KeyboardInterrupt

    code, _, err = cli("status", reader=SlowReader())

    assert (code, err) == (130, "databuild: interrupted\n")


@pytest.mark.parametrize("args", [("status", "\udcff"), ("partitions", "--after=\udcff"), ("explain", "a/\udcff")])
def test_an_argument_that_is_not_utf_8_makes_no_sense(cli: CommandLine, args: tuple[str, str]) -> None:
    code, _, err = cli(*args)

    assert code == 2
    assert "is not UTF-8" in err


def test_output_into_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        out = Output(stream)
        out.line("x" * 100_000)
        out.flush()
        out.line("more")

        assert out.closed


def test_status_says_what_a_build_waits_for_and_who_has_it(cli: CommandLine) -> None:
    reader = FakeReader([build_record(NEW, status="EXECUTING")])
    memory = "memory of //:g"
    reader.uses = [ResourceUse(memory, NEW, 0, True), ResourceUse(memory, OLD, 4, False)]

    code, out, _ = cli("status", reader=reader)

    assert code == 0
    assert f"waiting    for {memory}: {OLD} has 4\n" in out
