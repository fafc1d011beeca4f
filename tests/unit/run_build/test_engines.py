"""Builds on an engine: where jobs run, and what becomes of a build whose orchestrator dies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from databuild.errors import ExecutorError, InvalidRequestError, OrchestrationError
from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import RetryPolicy
from databuild.model.results import Cancelled, FailFast, Success
from databuild.v1 import events_pb2 as ev
from tests.support.build_world import RAW, jobs
from tests.support.engine_world import DONE, LOST, Process, World
from tests.support.fake_engine import URI
from tests.support.present import present
from tests.support.waiting import turns, turns_until


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_jobs_run_on_the_engine_and_planning_runs_here(world: World) -> None:
    world.succeed(raw=1, clean=1)
    process = Process(world, "one")

    assert await process.build("b", "clean/1") == Success(jobs_completed=2)

    assert world.engine.submitted == ["b.1.1", "b.2.1"]
    assert process.local.ran == []
    assert world.story("b.2.1") == ["SCHEDULED", "RUNNING", "accepted", "started", "COMPLETED"]
    assert world.verified()


async def test_a_record_tells_where_a_job_ran(world: World) -> None:
    world.succeed(raw=1)

    await Process(world, "one").build("b", "raw/1")

    reader = world.log.reader()
    run = present(reader.job_run("b.1.1"))
    reader.close()
    assert (run.executor, run.machine, run.queued_seconds) == (URI, "m1", 0.5)
    assert run.placed_time > 0


async def test_the_start_of_an_attempt_is_durable_before_the_engine_knows_it(world: World) -> None:
    process = Process(world, "one")
    running = process.start("b", "raw/1")

    await world.engine.reached("b.1.1")

    assert world.story("b.1.1")[:2] == ["SCHEDULED", "RUNNING"]
    world.engine.end("b.1.1")
    assert await running == Success(jobs_completed=1)


async def test_the_engine_gets_code_task_properties_and_resources(world: World) -> None:
    world.succeed(raw=1)
    job = world.catalog.jobs[RAW]._replace(
        exec_properties={"dask.cpu": "2", "Pool": "large"}, code_files="/tree/raw.files"
    )
    world.catalog = world.catalog._replace(
        jobs={RAW: job}, exec_properties={"dask.cpu": "1", "dask.os": "linux"}, runfiles="/tree"
    )

    await Process(world, "one").build("b", "raw/1")

    spec = world.engine.runs["b.1.1"].spec
    assert spec.run_id == "b.1.1"
    assert spec.code is not None
    assert (spec.code.root, spec.code.files, spec.code.digest) == ("/tree", "/tree/raw.files", "r")
    assert spec.properties == {"cpu": "2", "os": "linux"}
    assert isinstance(spec.task, bytes)
    assert json.loads(spec.task)["outputs"][0]["ref"] == "raw/1"


async def test_a_job_that_is_always_local_runs_here(world: World) -> None:
    world.succeed(clean=1)
    local = world.catalog.jobs[RAW]._replace(always_local=True)
    world.catalog = world.catalog._replace(jobs={**world.catalog.jobs, RAW: local})
    process = Process(world, "one")

    assert await process.build("b", "clean/1") == Success(jobs_completed=2)

    assert process.local.ran == [(RAW, "1")]
    assert world.engine.submitted == ["b.2.1"]


async def test_a_build_uses_as_many_slots_as_the_engine_has(world: World) -> None:
    world.engine.machines = 3
    running = Process(world, "one").start("b", *(f"raw/{number}" for number in range(1, 6)))
    for number in (1, 2, 3):
        await world.engine.reached(f"b.{number}.1")

    assert world.engine.submitted == ["b.1.1", "b.2.1", "b.3.1"]
    for number in range(1, 6):
        await world.engine.reached(f"b.{number}.1")
        world.engine.end(f"b.{number}.1")
    assert await running == Success(jobs_completed=5)


async def test_a_lost_run_is_tried_again_apart_from_the_retries_of_the_job(world: World) -> None:
    world.engine.results = {RAW: [LOST, DONE]}

    assert await Process(world, "one").build("b", "raw/1") == Success(jobs_completed=1)

    failures = [event.job.failure for event in world.events("b") if event.job.HasField("failure")]
    assert [failure.message for failure in failures] == ["was lost: it restarted; next attempt in 0 seconds"]
    assert world.story("b.1.2")[-1] == "COMPLETED"


async def test_a_job_may_be_lost_only_as_often_as_its_infrastructure_retries_say(world: World) -> None:
    world.engine.results = {RAW: [LOST, LOST]}

    assert isinstance(await Process(world, "one").build("b", "raw/1"), FailFast)

    assert world.engine.submitted == ["b.1.1", "b.1.2"]


async def test_a_lost_run_does_not_use_up_retries(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=1, infrastructure_retries=1))
    world.engine.results = {RAW: [LOST, ProcessResult(exit_code=1), DONE]}

    assert await Process(world, "one").build("b", "raw/1") == Success(jobs_completed=1)


async def test_a_refused_run_is_not_tried_again(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=3))
    world.engine.results = {RAW: [ProcessResult(exit_code=-1, refused="no machine has the property gpu")]}

    await Process(world, "one").build("b", "raw/1")

    (failure,) = [event.job.failure.message for event in world.events("b") if event.job.HasField("failure")]
    assert failure == "was refused: no machine has the property gpu"
    assert world.engine.submitted == ["b.1.1"]


async def test_an_engine_that_cannot_be_used_fails_the_build_as_infrastructure(world: World) -> None:
    world.engine.fault = "it does not answer"

    with pytest.raises(ExecutorError, match=r"the executor dask://engine:1 cannot be used: it does not answer"):
        await Process(world, "one").build("b", "raw/1")

    end = world.events("b")[-1].build_request
    assert (end.status, end.error.code) == (ev.BUILD_STATUS_FAILED, "EXECUTOR")
    assert end.failure.category == 3


async def test_an_engine_that_the_process_does_not_use_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequestError, match=r"'dask://other:1' is not in use here; there is dask://engine:1"):
        await Process(world, "one").build("b", "raw/1", executor="dask://other:1")

    assert world.events("b") == []


@pytest.mark.parametrize(
    ("confirms", "message"),
    [
        (True, "stopped: the build was cancelled"),
        (False, "cancelled, but dask://engine:1 did not confirm that it has ended"),
    ],
)
async def test_cancelling_reaches_the_engine_and_says_whether_it_did(
    world: World, confirms: bool, message: str
) -> None:
    world.engine.confirms = confirms
    running = Process(world, "one").start("b", "raw/1")
    run = await world.engine.reached("b.1.1")

    running.cancel("ann")

    assert await running == Cancelled(author="ann")
    assert run.cancelled
    (failure,) = [event.job.failure for event in world.events("b") if event.job.HasField("failure")]
    assert failure.message == message


async def test_another_process_continues_the_same_build(world: World) -> None:
    world.succeed(clean=1)
    one = Process(world, "one")
    running = one.start("b", "clean/1")
    await world.engine.reached("b.1.1")
    await turns_until(lambda: "started" in world.story("b.1.1"))
    await one.die(running)

    two = Process(world, "two")
    other = two.start("c", "raw/7")
    await world.engine.reached("c.1.1")
    world.engine.end("c.1.1")
    world.engine.end("b.1.1")
    assert await other == Success(jobs_completed=1)

    assert sorted(world.engine.submitted) == ["b.1.1", "b.2.1", "c.1.1"]
    assert world.story("b.1.1") == ["SCHEDULED", "RUNNING", "accepted", "started", "started", "COMPLETED"]
    assert world.events("b")[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    assert world.events("b")[-1].build_request.jobs_completed == 2
    assert two.announced == [
        "continuing build b, whose orchestrator has died; 1 of its job runs may be going on at dask://engine:1",
        "build b has ended: Success",
    ]
    assert world.verified()


async def test_reports_of_a_continued_run_count_once(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    run = await world.engine.reached("b.1.1")
    await one.die(running)
    report = {"partition": {"ref": "raw/1", "metadata": {"rows": 3}}}
    run.reports += [json.dumps(report).encode()] * 2

    other = Process(world, "two").start("c", "raw/7")
    await world.engine.reached("c.1.1")
    world.engine.end("b.1.1")
    world.engine.end("c.1.1")
    await other

    available = [event.partition for event in world.events("b") if event.partition.status == 4]
    assert [dict(partition.metadata) for partition in available] == [{"rows": 3}]


async def test_a_build_waits_for_a_partition_that_a_continued_build_makes(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.succeed(clean=1)

    other = Process(world, "two").start("c", "clean/1")
    await turns_until(lambda: any(event.HasField("delegation") for event in world.events("c")))
    world.engine.end("b.1.1")

    assert await other == Success(jobs_completed=1)
    assert world.engine.submitted == ["b.1.1", "c.2.1"]
    assert world.verified()


async def test_a_run_that_the_engine_does_not_know_any_more_is_lost_and_tried_again(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.engine.runs.clear()
    world.succeed(raw=2)

    assert await Process(world, "two").build("c", "raw/7") == Success(jobs_completed=1)

    assert world.story("b.1.1")[-1] == "FAILED"
    assert world.story("b.1.2")[-1] == "COMPLETED"
    assert world.verified()


async def test_an_orchestrator_that_was_overtaken_leaves_the_runs_to_its_successor(world: World) -> None:
    one = Process(world, "one").start("b", "raw/1", "raw/2")
    await turns_until(lambda: "started" in world.story("b.2.1"))
    world.dead.add("one")
    two = Process(world, "two").start("c", "raw/7")
    await turns_until(lambda: world.story("b.2.1").count("started") == 2)

    world.engine.end("b.1.1")
    with pytest.raises(OrchestrationError):
        await one
    cancelled = world.engine.runs["b.2.1"].cancelled
    world.engine.end("b.2.1")
    (await world.engine.reached("c.1.1")).end.set_result(DONE)
    await two

    assert not cancelled
    assert world.story("b.2.1")[-1] == "COMPLETED"
    assert world.events("b")[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    assert world.verified()


@pytest.mark.parametrize("names_runs", [True, False])
async def test_a_run_without_a_recorded_handle_is_found_by_its_name_or_lost(world: World, names_runs: bool) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    recorded = world.story("b.1.1")
    world.engine.names_runs = names_runs
    world.succeed(raw=2)
    world.engine.end("b.1.1")

    await Process(world, "two").build("c", "raw/7")

    assert recorded == ["SCHEDULED", "RUNNING"]
    assert world.story("b.1.1")[-1] == ("COMPLETED" if names_runs else "FAILED")
    assert world.story("b.1.2")[-1:] == ([] if names_runs else ["COMPLETED"])


async def test_what_was_done_failed_and_given_up_stays_so(world: World) -> None:
    world.engine.results = {RAW: [DONE, ProcessResult(exit_code=1)]}
    one = Process(world, "one")
    running = one.start("b", "raw/1", "clean/2", "raw/3", keep_going=True, jobs=1)
    pending = await turns_until(lambda: [run for run in world.engine.runs.values() if not run.end.done()])
    submitted = tuple(world.engine.submitted)
    await one.die(running)
    world.succeed(raw=9, clean=9)
    pending[0].end.set_result(DONE)

    await Process(world, "two").build("c", "raw/7")

    again = [run for run in world.engine.submitted[len(submitted) :] if run.startswith("b.")]
    assert set(again).isdisjoint(submitted)
    end = world.events("b")[-1].build_request
    assert (end.status, end.jobs_completed, end.jobs_failed) == (ev.BUILD_STATUS_FAILED, 2, 1)
    assert world.verified()


async def test_a_build_with_changed_code_is_ended_instead(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.catalog = jobs(code_digests={RAW: "new"})
    world.succeed(raw=1)

    two = Process(world, "two")
    await two.build("c", "raw/7")

    assert two.announced == []
    assert world.events("b")[-1].build_request.status == ev.BUILD_STATUS_FAILED


async def test_only_one_process_continues_a_build(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.succeed(raw=2)

    two, three = Process(world, "two"), Process(world, "three")
    others = asyncio.gather(two.build("c", "raw/7"), three.build("d", "raw/8"))
    await turns_until(lambda: world.story("c.1.1")[-1:] == world.story("d.1.1")[-1:] == ["COMPLETED"])
    world.engine.end("b.1.1")
    await others

    assert world.story("b.1.1").count("COMPLETED") == 1
    assert world.engine.submitted.count("b.1.1") == 1
    assert any("another process has taken it over" in text for text in two.announced + three.announced)
    assert world.verified()


async def test_a_continued_build_waits_for_an_engine_that_is_away(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.settings = world.settings._replace(engine_retry_seconds=0.0)
    two = Process(world, "two")
    world.engine.fault = "it does not answer"
    world.engine.end("b.1.1")

    other = two.start("c", "raw/7")
    with pytest.raises(ExecutorError):  # a new build does not wait
        await other
    await turns(20)
    assert world.story("b.1.1")[-1] != "COMPLETED"
    world.engine.fault = ""
    await two.continued.wait()

    assert world.story("b.1.1")[-1] == "COMPLETED"
    assert two.announced[-1] == "build b has ended: Success"


async def test_a_continued_build_fails_if_the_engine_stays_away(world: World) -> None:
    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.settings = world.settings._replace(engine_retry_seconds=0.0, engine_outage_seconds=0.0)
    world.engine.fault = "it does not answer"

    two = Process(world, "two")
    with pytest.raises(ExecutorError):
        await two.build("c", "raw/7")
    await two.continued.wait()

    assert world.events("b")[-1].build_request.error.code == "EXECUTOR"


class NeverAdmitted:
    """An admission that does not come."""

    lease_owner = None

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    def received(self) -> None:
        self.reached.set()

    async def admit(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_build_that_dies_before_it_is_planned_is_ended_by_the_next(world: World) -> None:
    one, admission = Process(world, "one"), NeverAdmitted()
    one.context = one.context._replace(admission=admission)
    running = one.start("b", "raw/1")
    await admission.reached.wait()
    await one.die(running)
    world.succeed(raw=1)

    await Process(world, "two").build("c", "raw/7")

    assert world.events("b")[-1].build_request.status == ev.BUILD_STATUS_FAILED
