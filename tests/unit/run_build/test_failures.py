"""Jobs, configurations and logs that fail, and attempts after a failure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from databuild.errors import BuildNotFoundError, InvalidRequestError, JobConfigurationError
from databuild.executors.executor import ProcessResult
from databuild.executors.start_faults import StartFault
from databuild.graph.catalog import RetryPolicy
from databuild.model.results import Failed, FailFast, Success
from databuild.orchestration.build.retry import partitions_to_retry
from databuild.orchestration.build.settings import Settings
from tests.support.build_world import DONE, RAW, Report, World, jobs
from tests.support.present import present


async def test_a_failed_attempt_is_a_job_run_of_its_own(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = lambda env, _: ProcessResult(exit_code=2 - int(env["DATABUILD_ATTEMPT"]))

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    reader = world.log.reader()
    assert world.runs("b") == [("b.1.1", "FAILED"), ("b.1.2", "COMPLETED")]
    assert "next attempt in 0 seconds" in present(present(reader.job_run("b.1.1")).failure).message
    build = present(reader.build("b"))
    assert (build.total_tasks, build.jobs_completed, build.jobs_failed) == (1, 1, 0)


async def test_a_task_that_fails_in_all_attempts_counts_once(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = lambda _env, _report: ProcessResult(exit_code=3)

    assert await world.build("b", "raw/1") == FailFast(trigger_job=RAW)

    reader = world.log.reader()
    assert world.runs("b") == [("b.1.1", "FAILED"), ("b.1.2", "FAILED")]
    failed = [event.job for event in reader.events("b") if event.job.HasField("failure")]
    assert [(job.job_run_id, job.retried) for job in failed] == [("b.1.1", True), ("b.1.2", False)]
    assert present(reader.build("b")).jobs_failed == 1


async def test_an_attempt_that_reported_everything_and_failed_is_tried_again(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=1))

    def raw(env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1"}})
        return ProcessResult(exit_code=2 - int(env["DATABUILD_ATTEMPT"]))

    world.executor.runs[RAW] = raw

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)
    assert world.runs("b") == [("b.1.1", "FAILED"), ("b.1.2", "COMPLETED")]


async def test_fail_fast_ends_everything_with_its_reason(world: World) -> None:
    world.executor.runs[RAW] = lambda env, _: ProcessResult(exit_code=int(env["DATABUILD_JOB_RUN_ID"] == "b.1.1"))

    result = await world.build("b", "clean/1", "raw/2", "raw/3")

    assert result == FailFast(trigger_job=RAW)
    assert world.statuses("b") == dict.fromkeys(["clean/1", "raw/1", "raw/2", "raw/3"], "FAILED")
    assert dict(world.runs("b")) == {
        "b.1.1": "FAILED",
        "b.2.0": "SKIPPED",
        "b.3.0": "CANCELLED",
        "b.4.0": "CANCELLED",
    }
    failures = {one.ref: one.failure for one in world.log.reader().build_partitions("b")}
    assert present(failures["clean/1"]).category == "MISSING_DATA"
    assert "was not asked to keep going" in present(failures["raw/2"]).message


async def test_keep_going_builds_what_can_be_built(world: World) -> None:
    world.executor.runs[RAW] = lambda env, _: ProcessResult(exit_code=int(env["DATABUILD_JOB_RUN_ID"] == "b.1.1"))

    result = await world.build("b", "clean/1", "clean/2", keep_going=True)

    assert result == Failed(jobs_completed=2, jobs_failed=1, message="1 task failed")
    assert world.statuses("b") == {"clean/1": "FAILED", "raw/1": "FAILED", "clean/2": "AVAILABLE", "raw/2": "AVAILABLE"}
    assert partitions_to_retry(world.log.reader(), "b") == ("clean/1", "clean/2")
    assert partitions_to_retry(world.log.reader(), "b", failed_jobs_only=True) == ("raw/1",)


@pytest.mark.parametrize(
    ("result", "category", "said"),
    [
        (
            ProcessResult(exit_code=-9),
            "INFRASTRUCTURE",
            "was ended by signal 9 (SIGKILL); the machine or container may have run out of memory",
        ),
        (ProcessResult(exit_code=-15, timed_out=True), "TIMEOUT", "ran longer than its timeout of 5 seconds"),
        (
            ProcessResult(exit_code=-1, start_fault=StartFault(message="it is not there")),
            "INFRASTRUCTURE",
            "could not be started: it is not there",
        ),
    ],
)
async def test_each_failure_has_its_category(world: World, result: ProcessResult, category: str, said: str) -> None:
    world.catalog = jobs(timeout_seconds=5.0)
    world.executor.runs[RAW] = lambda _env, _report: result

    await world.build("b", "raw/1")

    failure = present(world.log.reader().job_run("b.1.1")).failure
    assert failure is not None
    assert (failure.category, failure.message) == (category, said)


async def test_a_report_that_cannot_be_read_fails_the_run(world: World) -> None:
    def raw(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/9"}})
        report({"nonsense": 1})
        return DONE

    world.executor.runs[RAW] = raw

    assert isinstance(await world.build("b", "raw/1"), FailFast)
    assert "'raw/9', which is not an output" in present(present(world.log.reader().job_run("b.1.1")).failure).message


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ProcessResult(exit_code=-1, start_fault=StartFault(message="no file")), "could not be started: no file"),
        (ProcessResult(exit_code=3, stderr=b"no idea"), "exit code 3\nno idea"),
        (ProcessResult(exit_code=-15, timed_out=True), "ran longer than its timeout of 5 seconds"),
        (ProcessResult(exit_code=0, stdout=b"oops"), "'oops', which is not a JobConfigureResponse"),
    ],
)
async def test_a_config_that_fails_fails_the_build_and_names_the_job(
    world: World, answer: ProcessResult, said: str
) -> None:
    world.catalog = jobs(timeout_seconds=5.0)
    world.executor.answer = answer

    with pytest.raises(JobConfigurationError, match=RAW) as raised:
        await world.build("b", "raw/1")

    assert said in str(raised.value)
    assert present(world.log.reader().build("b")).status == "FAILED"


async def test_a_fault_of_our_own_ends_the_build_and_comes_out(world: World) -> None:
    def broken(_env: Mapping[str, str], _report: Report) -> ProcessResult:
        message = "surprise"
        raise RuntimeError(message)

    world.executor.runs[RAW] = broken

    with pytest.raises(RuntimeError, match="surprise"):
        await world.build("b", "raw/1")

    build = world.log.reader().build("b")
    assert build is not None
    assert (build.status, present(build.failure).category) == ("FAILED", "INFRASTRUCTURE")
    assert "RuntimeError: surprise" in present(build.failure).message


async def test_a_folder_for_logs_that_cannot_be_made_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    world.settings = Settings(working_directory="/", log_directory=str(tmp_path / "file"))

    with pytest.raises(InvalidRequestError, match="cannot be created") as raised:
        await world.build("b", "raw/1")

    assert raised.value.remedy == "OTHER_STATE_DIRECTORY"
    assert present(world.log.reader().build("b")).status == "FAILED"


async def test_only_what_failed_can_be_retried(world: World) -> None:
    await world.build("good", "raw/1")
    world.executor.answer = ProcessResult(exit_code=3)
    with pytest.raises(JobConfigurationError):
        await world.build("unplanned", "raw/2")
    reader = world.log.reader()

    with pytest.raises(InvalidRequestError, match="nothing to retry") as completed:
        partitions_to_retry(reader, "good")
    assert completed.value.remedy == "BUILD_WITH_FORCE"
    with pytest.raises(InvalidRequestError, match="no job of build unplanned failed") as unplanned:
        partitions_to_retry(reader, "unplanned", failed_jobs_only=True)
    assert unplanned.value.remedy == "RETRY_EVERYTHING"
    with pytest.raises(BuildNotFoundError):
        partitions_to_retry(reader, "nobody")


async def test_a_build_that_may_run_no_job_is_refused_without_a_trace(world: World) -> None:
    with pytest.raises(InvalidRequestError, match="jobs is 0; at least one"):
        await world.build("b", "raw/1", jobs=0)

    assert world.log.reader().build("b") is None
