"""Data is forgotten and deleted beside builds, and rebuilt when something needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidRequestError, RemovalRefusedError
from databuild.event_log import liveness
from databuild.event_log.verify import verify
from databuild.executors.executor import ProcessResult
from databuild.model.records import RemovalRecord
from databuild.model.removal import Deletion
from databuild.model.results import Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.storage.storages import Storages
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2, plan_pb2
from databuild.v1 import partition_pb2 as pt
from tests.support.build_world import CLEAN, RAW, World
from tests.support.file_jobs import Files


async def no_wait(_seconds: float) -> None:
    raise AssertionError("nothing is planning")


def removals(world: World, sleep: Callable[[float], Awaitable[None]] = no_wait, seconds: float = 60.0) -> Removals:
    return Removals(
        world.log,
        world.executor,
        Storages({}),
        produced=world.catalog.may_produce,
        clock=lambda: 1e9,
        sleep=sleep,
        max_planning_seconds=seconds,
    )


def select(*texts: str) -> Selection:
    return Selection(texts, lambda refs: refs)


async def delete(world: World, *texts: str, dry_run: bool = False, removing: Removals | None = None) -> Deletion:
    removing = removing or removals(world)
    return await removing.delete_part(select(*texts), author="ann", reason="old", dry_run=dry_run)


def faults(deletion: Deletion) -> dict[str, str]:
    return {one.ref: one.fault for one in deletion.data}


def check(world: World) -> None:
    assert verify(world.log.reader()).reported == ()


@pytest.fixture
def files(world: World, tmp_path: Path) -> Files:
    return Files(world, tmp_path)


async def test_deleted_data_is_made_again_only_if_it_is_asked_for(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    done = await delete(world, "raw/{n:int}")
    record = world.records("raw/1")["raw/1"]

    assert [(one.ref, one.size, one.fault) for one in done.data] == [("raw/1", 5, "")]
    assert (done.author, done.next_after, done.bytes) == ("ann", "", 5)
    assert (record.status, record.available, record.location) == ("DELETED", False, None)
    assert record.removal is not None
    assert record.removal[1:] == RemovalRecord("", "ann", "old", 1e9, "DELETED")[1:]
    assert not files.path("raw/1").exists()
    files.made.clear()
    assert await world.build("b2", "clean/1") == Success()
    assert files.made == []
    assert await world.build("b3", "raw/1") == Success(jobs_completed=1)
    assert await world.build("b4", "clean/1") == Success()
    assert files.made == ["raw/1"]
    check(world)


async def test_a_dry_run_changes_nothing(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    listed = await delete(world, "raw/1", "clean/1", dry_run=True)

    assert [(one.ref, one.size, one.fault) for one in listed.data] == [("clean/1", 7, ""), ("raw/1", 5, "")]
    assert listed.data[0].uri.endswith("/clean-1")
    assert listed.author == ""
    assert all(record.available for record in world.records("raw/1", "clean/1").values())
    assert files.path("raw/1").exists()


async def test_forgotten_data_stays_and_is_made_again(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    forgotten = await removals(world).forget(select("raw/1", "raw/2"), author="ann", reason="wrong")
    record = world.records("raw/1")["raw/1"]

    assert forgotten.partitions == ("raw/1",)
    assert (record.status, record.available, record.build_request_id) == (
        "FORGOTTEN",
        False,
        forgotten.operation_ids[0],
    )
    assert files.path("raw/1").exists()
    assert [run.job_run_id for run in world.log.reader().produced_by("raw/1")] == [record.job_run_id]
    again = await removals(world).forget(select("raw/{n:int}"), author="ann", reason="wrong")
    assert again.partitions == again.operation_ids == ()
    assert faults(await delete(world, "raw/1")) == {"raw/1": "it was forgotten; adopt it first"}
    assert await world.build("b2", "clean/1") == Success(jobs_completed=1)
    assert files.made == ["raw/1", "clean/1", "raw/1"]
    check(world)


async def test_a_partition_that_was_never_made_is_not_forgotten(world: World, files: Files) -> None:
    world.executor.runs[RAW] = lambda _env, _report: ProcessResult(exit_code=1)
    await world.build("b1", "raw/1")

    assert (await removals(world).forget(select("raw/1"), author="ann", reason="wrong")).partitions == ()
    assert world.records("raw/1")["raw/1"].status == "FAILED"


async def test_a_removal_needs_a_reason(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    with pytest.raises(InvalidRequestError, match="say why"):
        await removals(world).forget(select("raw/1"), author="ann", reason="")
    with pytest.raises(InvalidRequestError, match="say why"):
        await removals(world).delete_part(select("raw/1"), author="ann", reason="")

    assert files.path("raw/1").exists()


async def test_data_without_a_location_is_not_deleted(world: World) -> None:
    await world.build("b1", "raw/1")

    assert faults(await delete(world, "raw/1")) == {
        "raw/1": "no job has reported its location; only the event log can forget it"
    }
    assert world.records("raw/1")["raw/1"].available
    assert (await delete(world, "raw/2")).data == ()


async def test_data_that_no_job_of_the_graph_produces_is_left_out(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    removing = Removals(world.log, world.executor, Storages({}), produced=lambda ref: ref != "raw/1")

    assert (await delete(world, "raw/1", removing=removing)).data == ()
    assert (await removing.forget(select("raw/{n:int}"), author="ann", reason="old")).partitions == ()
    assert files.path("raw/1").exists()


async def test_changed_data_is_deleted_only_by_force(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    files.path("raw/1").write_text("other")

    assert "was changed since it was made" in faults(await delete(world, "raw/1"))["raw/1"]
    assert world.records("raw/1")["raw/1"].available
    await removals(world).delete_part(select("raw/1"), author="ann", reason="old", force=True)
    assert not files.path("raw/1").exists()
    check(world)


async def test_data_is_not_deleted_while_its_disk_may_be_away(world: World, files: Files, tmp_path: Path) -> None:
    numbers = range(1, 11)
    await world.build("b1", *(f"raw/{number}" for number in numbers))
    away = tmp_path.rename(tmp_path.with_name("away"))
    refs = [f"raw/{number}" for number in numbers]
    for dry_run in (True, False):
        found = faults(await delete(world, "raw/1", "raw/2", dry_run=dry_run))
        assert list(found) == ["raw/1", "raw/2"]
        assert all("does not exist, where 10 or more partitions were" in fault for fault in found.values())
    assert all(record.available for record in world.records(*refs).values())

    away.rename(tmp_path)
    assert faults(await delete(world, *refs)) == dict.fromkeys(refs, "")
    assert not files.path("raw/1").exists()
    check(world)


async def test_a_deletion_that_was_interrupted_continues_in_an_empty_folder(world: World, files: Files) -> None:
    refs = [f"raw/{number}" for number in range(10)]
    await world.build("b1", *refs)
    rows = world.log.reader().placed_data_of(refs)
    event = ev.BuildEvent(event_id="m/1", build_request_id="m", sequence=1)
    event.removal.kind = pt.PARTITION_STATUS_DELETED
    for row in rows:
        event.removal.partitions.add(ref=row.ref, version=row.version)
        files.remove(row.ref)
    await world.log.append([event])

    assert faults(await delete(world, *refs)) == dict.fromkeys(refs, "")
    assert {record.location for record in world.records(*refs).values()} == {None}


async def test_a_few_files_that_are_gone_count_as_deleted(world: World, files: Files) -> None:
    await world.build("b1", "raw/1", "raw/2")
    files.remove("raw/1")

    assert faults(await delete(world, "raw/1")) == {"raw/1": ""}
    assert world.records("raw/1")["raw/1"].status == "DELETED"


async def test_a_place_of_two_partitions_is_not_deleted(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    files.path("raw/2").symlink_to(files.path("raw/1"))
    await world.build("b2", "raw/2")
    files.path("raw/3").mkdir()
    found = faults(await delete(world, "raw/2"))

    assert "is a link" in found["raw/2"]
    assert files.path("raw/1").exists()


async def during(world: World, files: Files, label: str, action: Callable[[], Awaitable[None]]) -> None:
    """Runs an action while a job run of `clean/1` is under way."""
    run = world.executor.runs[label]

    async def run_and_act(env: dict[str, str], report: Callable[[dict[str, object]], None]) -> ProcessResult:
        await action()
        result = run(env, report)  # type: ignore[arg-type]
        assert isinstance(result, ProcessResult)
        return result

    world.executor.runs[label] = run_and_act  # type: ignore[assignment]
    await world.build("b2", "clean/1", force=True)
    world.executor.runs[label] = run


async def test_data_of_a_running_build_stays(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    found: list[dict[str, str]] = []

    async def act() -> None:
        found.append(faults(await delete(world, "raw/1", "clean/1")))
        with pytest.raises(RemovalRefusedError, match="build b2 is making it"):
            await removals(world).forget(select("clean/1"), author="ann", reason="wrong")

    await during(world, files, CLEAN, act)

    assert found == [{"clean/1": "build b2 makes it", "raw/1": "build b2 reads it"}]
    assert faults(await delete(world, "raw/1", "clean/1")) == {"clean/1": "", "raw/1": ""}
    check(world)


async def planning(world: World, build: str = "b2") -> BuildOrchestrator:
    """Begins a build that is planning."""
    one = BuildOrchestrator(world.log, build, ["clean/1"], clock=lambda: 1e9)
    world.log.renew_lease(build, liveness.this_process(), 60)
    one.start_build(graph_label="//:g")
    await one.start_planning()
    return one


async def finish_plan(one: BuildOrchestrator) -> None:
    """Records the plan: `clean/1` is made from `raw/1`."""
    reads = job_pb2.DataDep(dep_type_code=job_pb2.MATERIALIZE, partition_ref=pt.PartitionRef(str="raw/1"))
    made = job_pb2.JobConfig(outputs=[pt.PartitionRef(str="clean/1")], inputs=[reads])
    one.emit_job_graph([plan_pb2.Task(task_id=1, job_label=CLEAN, config=made)], {})
    await one.complete_planning()


async def test_a_build_that_planned_meanwhile_keeps_its_inputs(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    one = await planning(world)

    async def sleep(_seconds: float) -> None:
        assert world.records("raw/1")["raw/1"].status == "DELETED"
        await finish_plan(one)

    done = await delete(world, "raw/1", removing=removals(world, sleep))
    assert faults(done) == {"raw/1": "build b2 reads it"}
    assert files.path("raw/1").exists()
    await one.complete_build(Failed(message="no"))
    assert faults(await delete(world, "raw/1")) == {"raw/1": ""}
    assert not files.path("raw/1").exists()
    check(world)


async def test_a_build_that_plans_for_long_keeps_everything(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    await planning(world)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    removing = removals(world, sleep, 1.0)
    done = await delete(world, "raw/1", removing=removing)

    assert "build b2 is planning" in faults(done)["raw/1"]
    assert files.path("raw/1").exists()
    assert sum(waits) == pytest.approx(1.0)


async def test_data_that_a_build_began_to_make_again_stays(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    other = await planning(world)

    async def sleep(_seconds: float) -> None:
        await other.complete_build(Failed(message="no"))
        await world.build("b3", "raw/1")

    done = await delete(world, "raw/1", removing=removals(world, sleep))

    assert faults(done) == {"raw/1": "a build has begun to rebuild it"}
    assert files.path("raw/1").exists()
    assert world.records("raw/1")["raw/1"].available
    check(world)


async def test_a_deletion_that_was_interrupted_continues(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    one = await planning(world)

    async def die(_seconds: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await delete(world, "raw/1", removing=removals(world, die))
    await one.complete_build(Failed(message="no"))
    record = world.records("raw/1")["raw/1"]
    assert (record.status, record.location is None, files.path("raw/1").exists()) == ("DELETED", False, True)
    done = await delete(world, "raw/1")

    assert faults(done) == {"raw/1": ""}
    assert not files.path("raw/1").exists()
    assert world.records("raw/1")["raw/1"].location is None
    assert (await delete(world, "raw/1")).data == ()
    check(world)


async def test_dead_builds_do_not_stand_in_the_way(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    one = BuildOrchestrator(world.log, "b2", ["clean/1"], clock=lambda: 1e9)
    one.start_build(graph_label="//:g")
    one.start_planning()
    await finish_plan(one)

    assert faults(await delete(world, "raw/1")) == {"raw/1": ""}
    assert world.log.reader().builds(limit=1)[0].status == "FAILED"
    check(world)


async def test_a_deletion_goes_on_in_parts(world: World, files: Files) -> None:
    await world.build("b1", "raw/1", "raw/2", "raw/3")
    parts: list[Sequence[str]] = []
    after, more = "", True
    while more:
        part = await removals(world).delete_part(
            select("raw/1", "raw/2", "raw/3"), author="ann", reason="old", after=after, limit=2
        )
        parts.append([one.ref for one in part.data])
        after, more = part.next_after, bool(part.next_after)

    assert parts == [["raw/1", "raw/2"], ["raw/3"]]
    check(world)


ACTIONS = st.sampled_from(["build", "delete", "forget", "lose"])


@given(actions=st.lists(st.tuples(ACTIONS, st.sampled_from(["raw/1", "clean/1"])), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
async def test_builds_make_what_is_asked_for_with_the_least_number_of_runs(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("world")
    world = World(folder)
    files = Files(world, folder)
    recorded: dict[str, str] = {}  # the state of each partition as the event log has to know it
    for number, (action, ref) in enumerate(actions):
        files.made.clear()
        if action == "lose":
            files.remove(ref)
        elif action == "delete":
            found = faults(await delete(world, ref))
            if recorded.get(ref) == "available":
                assert found == {ref: ""}
                assert not files.path(ref).exists()
                recorded[ref] = "deleted"
            elif recorded.get(ref) == "forgotten":
                assert "adopt it first" in found[ref]
            else:
                assert found == {}
        elif action == "forget":
            there = files.path(ref).exists()
            await removals(world).forget(select(ref), author="ann", reason="wrong")
            if ref in recorded:
                recorded[ref] = "forgotten"
            assert files.path(ref).exists() == there
        else:
            states = {one: state for one, state in recorded.items() if state == "deleted" or files.path(one).exists()}
            expected = []
            # Deleted data is rebuilt only if it is requested, or needed to make something.
            raw_is_enough = states.get("clean/1") == "available" and states.get("raw/1") == "deleted"
            if states.get("raw/1") != "available" and not (ref == "clean/1" and raw_is_enough):
                expected.append("raw/1")
            if ref == "clean/1" and states.get("clean/1") != "available":
                expected.append("clean/1")
            assert isinstance(await world.build(f"b{number}", ref, verify="all"), Success)
            assert files.made == expected
            assert files.path(ref).exists()
            recorded.update(dict.fromkeys([*expected, ref], "available"))
    assert verify(world.log.reader()).reported == ()
    await world.log.close()
