"""A plan that looks for data agrees with the build that follows it, and records nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.errors import StorageError
from databuild.graph.ports import PartitionRecords
from databuild.model.build_options import VERIFY_POLICIES
from databuild.model.enum_names import reason_name
from databuild.model.job_graph import Plan
from databuild.model.results import Success
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.stores.planned_losses import plan_without_losses
from tests.support.build_world import World, warnings_of
from tests.support.file_jobs import Files


@pytest.fixture
def files(world: World, tmp_path: Path) -> Files:
    return Files(world, tmp_path, reports=False)


async def planned(world: World, *refs: str, verify: str) -> Plan:
    async def make(records: PartitionRecords) -> Plan:
        return await make_plan(
            refs, catalog=world.catalog, reader=records, executor=world.executor, settings=world.settings
        )

    reader = world.log.reader()
    return await plan_without_losses(make, records=reader, stored=reader, verify=verify, extensions={}, jobs=None)


def last_position(world: World) -> int:
    return max((position for position, _ in world.log.reader().all_events()), default=0)


@pytest.mark.parametrize("lost", [(), ("raw/1",), ("raw/2",), ("clean/1",), ("raw/1", "raw/2"), ("raw/1", "clean/1")])
@pytest.mark.parametrize("policy", VERIFY_POLICIES)
@pytest.mark.parametrize("requested", [("clean/1",), ("clean/1", "clean/2"), ("raw/1", "clean/2")])
async def test_a_plan_has_the_reasons_and_versions_of_the_build_that_follows(
    world: World, files: Files, lost: tuple[str, ...], policy: str, requested: tuple[str, ...]
) -> None:
    await world.build("b1", "clean/1", "raw/2")
    for ref in lost:
        files.remove(ref)
    before = last_position(world)

    plan = await planned(world, *requested, verify=policy)

    assert last_position(world) == before
    await world.build("b2", *requested, plan=plan, verify=policy)
    recorded = {one.ref: one.reason for one in world.log.reader().build_partitions("b2") if one.reason}
    assert recorded == {one.ref: reason_name(one.reason) for one in plan.partitions if one.task_id}


async def test_lost_data_is_planned_with_the_reason_lost(world: World, files: Files) -> None:
    await world.build("b1", "raw/1", "raw/2")
    files.remove("raw/1")

    plan = await planned(world, "clean/1", "clean/2", verify="inputs")

    reasons = {one.ref: reason_name(one.reason) for one in plan.partitions}
    assert reasons == {"clean/1": "MISSING", "clean/2": "MISSING", "raw/1": "LOST", "raw/2": "UP_TO_DATE"}
    assert len(plan.tasks) == 3


async def test_data_that_was_made_again_is_not_lost(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    files.remove("raw/1")

    plan = await planned(world, "clean/1", verify="inputs")

    assert {one.ref for one in plan.partitions if one.task_id} == {"clean/1", "raw/1"}
    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)
    assert (await planned(world, "clean/1", verify="all")).tasks == ()


async def test_a_folder_that_is_gone_fails_a_plan_as_it_fails_a_build(world: World, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    files = Files(world, tmp_path / "data", reports=False)
    await world.build("b1", *(f"raw/{number}" for number in range(10)))
    for number in range(10):
        files.remove(f"raw/{number}")

    with pytest.raises(StorageError, match="its disk may not be mounted"):
        await planned(world, "clean/1", verify="inputs")
    assert len((await planned(world, "clean/1", verify="none")).tasks) == 1


async def test_data_that_cannot_be_read_is_one_warning_of_plans_and_builds(world: World, files: Files) -> None:
    refs = [f"raw/{number}" for number in range(5)]
    await world.build("b1", *refs)
    for ref in refs:
        files.remove(ref)
        files.path(ref).symlink_to(files.path(ref))

    (warning,) = (await planned(world, *(ref.replace("raw", "clean") for ref in refs), verify="inputs")).warnings

    assert warning.startswith("the data of 5 partitions cannot be looked at in its store, and is used unchecked: 'raw/")
    assert warning.count(" at file:///") == 3
    assert "Too many levels of symbolic links" in warning
    assert warning.endswith("; and 2 more")
    await world.build("b2", *(ref.replace("raw", "clean") for ref in refs), keep_going=True)
    assert warnings_of(world, "b2") == [[], [], [warning], [], [warning]]


async def test_changed_data_is_one_warning_of_plans_and_builds(world: World, files: Files) -> None:
    await world.build("b1", "raw/1", "raw/2")
    files.path("raw/1").write_text("something else")

    (warning,) = (await planned(world, "clean/1", "clean/2", verify="inputs")).warnings

    assert warning.startswith(
        "the data of 1 partition has changed in its store, and is used as it is until `partitions verify` records the "
        "change: 'raw/1' at file:///"
    )
    assert await world.build("b2", "clean/1", "clean/2") == Success(jobs_completed=2)
    assert warnings_of(world, "b2") == [[], [], [warning], [], [warning]]
    assert (await planned(world, "clean/1", "clean/2", verify="none")).warnings == ()
