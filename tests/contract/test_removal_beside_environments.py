"""Data of a base is not deleted while an environment uses it, in every event log that has environments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from databuild.event_log import liveness
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import Job, JobCatalog
from databuild.job.locations import ENVIRONMENTS_FOLDER, file_uri, size_and_version
from databuild.model.results import Failed, Success
from databuild.orchestration.environments.promotion import promote
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.storage.storages import Storages
from databuild.v1 import job_pb2, plan_pb2
from databuild.v1 import partition_pb2 as pt
from tests.contract.placed_data import place, records
from tests.support.environment_logs import logs_of
from tests.support.fake_executor import NoProcesses
from tests.support.step_builds import begin, taint
from tests.support.stores import Store


async def no_wait(_seconds: float) -> None:
    raise AssertionError("nothing is planning")


async def delete(store: Store, base: EventLog, sleep: Callable[[float], Awaitable[None]] = no_wait) -> str:
    """Deletes the data of `p`, and returns the fault."""
    removals = Removals(
        base,
        cast("ProcessExecutor", NoProcesses()),
        Storages({}),
        produced=lambda _: True,
        sleep=sleep,
        environments=EnvironmentLogs(store.uri),
    )
    done = await removals.delete_part(Selection(["p"], tuple), author="ann", reason="old")
    return done.data[0].fault


async def produce(log: EventLog, build: str, path: Path) -> None:
    """Writes a build that makes `p`, with a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build)
    size, version = size_and_version(path)
    one = await begin(log, build, "p")
    await place(one, 1, "p", pt.Location(uri=file_uri(path), size_bytes=size, version=version))
    await one.complete_build(Success(jobs_completed=1))


async def plan(log: EventLog, build: str, *, alive: bool = True) -> BuildOrchestrator:
    """Begins a build of `q` that is planning."""
    if alive:
        log.renew_lease(build, liveness.this_process(), 60)
    one = BuildOrchestrator(log, build, ["q"], clock=lambda: 100.0)
    one.start_build(graph_label="//:g")
    await one.start_planning()
    return one


async def finish_plan(one: BuildOrchestrator) -> None:
    """Writes the plan: `q` is made from `p`."""
    reads = job_pb2.DataDep(dep_type_code=job_pb2.MATERIALIZE, partition_ref=pt.PartitionRef(str="p"))
    made = job_pb2.JobConfig(outputs=[pt.PartitionRef(str="q")], inputs=[reads])
    one.emit_job_graph([plan_pb2.Task(task_id=1, job_label="//:j", config=made)], {})
    await one.complete_planning()


async def test_data_that_a_build_in_an_environment_reads_stays(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data" / "p"
    async with logs_of(store) as (base, environment):
        await produce(base, "b", path)
        one = await plan(environment, "e")
        await finish_plan(one)

        assert await delete(store, base) == "build e reads it in the environment a"
        assert records(base, "p")["p"].available
        await one.complete_build(Failed(message="no"))
        assert await delete(store, base) == ""
        assert not path.exists()


async def test_a_build_in_an_environment_that_planned_meanwhile_keeps_its_inputs(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data" / "p"
    async with logs_of(store) as (base, environment):
        await produce(base, "b", path)
        one = await plan(environment, "e")

        async def sleep(_seconds: float) -> None:
            await finish_plan(one)

        assert await delete(store, base, sleep) == "build e reads it in the environment a"
        assert path.exists()
        await one.complete_build(Failed(message="no"))


async def test_a_build_that_reads_data_of_its_environment_or_has_died_keeps_nothing(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "p"
    async with logs_of(store) as (base, environment):
        await produce(base, "b", path)
        await finish_plan(await plan(environment, "dead", alive=False))
        await produce(environment, "e", tmp_path / "data" / ENVIRONMENTS_FOLDER / "a" / "p")
        one = await plan(environment, "f")
        await finish_plan(one)

        assert await delete(store, base) == ""
        assert not path.exists()
        await one.complete_build(Failed(message="no"))


async def test_promoted_data_stays_as_long_as_its_environment(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data" / ENVIRONMENTS_FOLDER / "a" / "p"
    logs = EnvironmentLogs(store.uri)
    async with logs_of(store) as (base, environment):
        await produce(environment, "e", path)
        reader = logs.reader("a")
        job = Job(label="//:j", executable="j", outputs=())
        catalog = JobCatalog(graph_label="//:g", jobs={"//:j": job})
        done = await promote(
            [], environment="a", reader=reader, event_log=base, catalog=catalog, operation_id="o", author="ann"
        )
        reader.close()

        assert done.left_out == {}
        fault = await delete(store, base)
        assert fault == "its location is also that of 'p' in the environment a; remove that first"
        assert path.exists()
        await environment.close()
        logs.remove("a")
        assert await delete(store, base) == ""
        assert not path.exists()


async def test_a_copy_of_a_record_of_the_base_keeps_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data" / "p"
    async with logs_of(store) as (base, environment):
        await produce(base, "b", path)
        await taint(environment, "t", "p")

        assert await delete(store, base) == ""
        assert not path.exists()
