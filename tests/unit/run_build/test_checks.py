"""Checks that jobs report, and the partitions that their results taint."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import RetryPolicy
from databuild.model.results import Failed, FailFast, Success
from databuild.v1 import partition_pb2 as pt
from tests.support.build_world import CLEAN, DONE, RAW, Report, Run, World, config, jobs
from tests.support.present import present


def failed_check(ref: str = "", severity: str = "SEVERITY_ERROR") -> dict[str, object]:
    return {"check": {"name": "rows", "passed": False, "severity": severity, "ref": ref, "message": "none"}}


def checking(*reports: Mapping[str, object]) -> Run:
    def run(_env: Mapping[str, str], report: Report) -> ProcessResult:
        for one in reports:
            report(one)
        return DONE

    return run


async def test_a_failed_check_fails_the_job_run_and_taints_what_it_checked_only(world: World) -> None:
    world.executor.configs["raw/1"] = world.executor.configs["raw/2"] = config(["raw/1", "raw/2"])
    world.executor.runs[RAW] = checking(failed_check("raw/2"))

    result = await world.build("b", "raw/1", "raw/2", keep_going=True)

    assert isinstance(result, Failed)
    assert result.jobs_failed == 1
    run = world.log.reader().job_run("b.1.1")
    assert present(present(run).failure).message == "the check 'rows' of 'raw/2' did not pass: none"
    assert world.statuses("b") == {"raw/1": "AVAILABLE", "raw/2": "FAILED"}
    records = world.records("raw/1", "raw/2")
    assert (records["raw/1"].available, records["raw/1"].tainted) == (True, False)
    assert (records["raw/2"].available, records["raw/2"].tainted) == (False, True)


async def test_a_check_that_failed_before_its_partition_was_reported_finished_counts(world: World) -> None:
    world.executor.runs[RAW] = checking(failed_check("raw/1"), {"partition": {"ref": "raw/1"}})

    await world.build("b", "raw/1")

    assert world.statuses("b") == {"raw/1": "FAILED"}


async def test_a_check_that_failed_after_its_partition_was_reported_finished_taints_it(world: World) -> None:
    world.executor.runs[RAW] = checking({"partition": {"ref": "raw/1"}}, failed_check("raw/1"))

    await world.build("b", "raw/1")

    record = world.records("raw/1")["raw/1"]
    assert (record.available, record.tainted) == (True, True)
    assert record.taint_reason == "b.1.1: the check 'rows' did not pass"
    plan = await world.plan("raw/1")
    assert [partition.reason for partition in plan.partitions] == [pt.REASON_TAINTED]


async def test_a_check_of_the_whole_run_is_about_all_outputs_and_one_of_an_input_too(world: World) -> None:
    world.executor.runs[RAW] = checking(failed_check())
    await world.build("b", "raw/1")
    assert world.statuses("b") == {"raw/1": "FAILED"}

    world.executor.runs[RAW] = checking()
    world.executor.runs[CLEAN] = checking(failed_check("raw/1"))
    await world.build("c", "clean/1")

    assert world.statuses("c")["clean/1"] == "FAILED"
    record = world.records("raw/1")["raw/1"]
    assert (record.available, record.tainted) == (True, True)


async def test_data_that_passes_the_next_time_is_no_longer_tainted(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = lambda env, report: checking(
        *([failed_check("raw/1")] if env["DATABUILD_ATTEMPT"] == "1" else [])
    )(env, report)

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    assert not world.records("raw/1")["raw/1"].tainted


async def test_a_failed_check_of_a_lesser_severity_is_only_recorded(world: World) -> None:
    world.executor.runs[RAW] = checking(failed_check("raw/1", "SEVERITY_WARNING"))

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    assert not world.records("raw/1")["raw/1"].tainted


async def test_a_check_of_what_the_run_has_nothing_to_do_with_fails_it(world: World) -> None:
    world.executor.runs[RAW] = checking(failed_check("raw/9"))

    await world.build("b", "raw/1")

    message = present(present(world.log.reader().job_run("b.1.1")).failure).message
    assert message == "the report checks 'raw/9', which is neither an output nor an input of this job run"


async def test_partitions_that_a_failed_run_reported_finished_are_kept(world: World) -> None:
    world.executor.configs["raw/1"] = config(["raw/1", "raw/2"])

    def half(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1"}})
        return ProcessResult(exit_code=7)

    world.executor.runs[RAW] = half

    assert await world.build("b", "raw/1") == FailFast(trigger_job=RAW)

    assert world.statuses("b") == {"raw/1": "AVAILABLE", "raw/2": "FAILED"}
    assert present(world.records("raw/2")["raw/2"].failure).message == "ended with exit code 7"
