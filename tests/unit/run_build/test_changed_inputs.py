"""Builds over inputs that somebody has changed in their store, or changes while the build runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from databuild.model.results import Cancelled, Failed, Success
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.stores.planned_losses import plan_without_losses
from databuild.v1 import partition_pb2 as pt
from tests.support.build_world import World, warnings_of
from tests.support.derived_data import DerivedData, Folder
from tests.support.present import present


@pytest.fixture
def data(world: World, tmp_path: Path) -> DerivedData:
    return DerivedData(world, Folder(tmp_path / "data"))


def version_read(world: World, output: str) -> str:
    """Returns the version of the only input from which a partition was made."""
    record = world.log.reader().partition_records([output])[output]
    (used,) = present(record.manifest).inputs
    return used.version


def is_tainted(world: World, ref: str) -> bool:
    return world.log.reader().partition_records([ref])[ref].tainted


async def reason(world: World, ref: str, *, verify: str = "inputs") -> str:
    """Returns the reason of a plan to make a partition; empty if it is fresh."""
    reader = world.log.reader()
    plan = await plan_without_losses(
        lambda records: make_plan(
            [ref], catalog=world.catalog, reader=records, executor=world.executor, settings=world.settings
        ),
        records=reader,
        stored=reader,
        verify=verify,
        extensions={},
        jobs=None,
    )
    (planned,) = (one for one in plan.partitions if one.requested)
    return pt.Reason.Name(planned.reason).removeprefix("REASON_") if planned.task_id else ""


async def test_what_was_made_from_changed_data_is_fresh_until_it_changes_again(world: World, data: DerivedData) -> None:
    await world.build("b1", "raw/1")
    data.place.write("raw/1", "by hand")
    await world.build("b2", "clean/1")

    location = present(data.place.location("raw/1"))
    assert version_read(world, "clean/1") == f"unrecorded:{location.size}:{location.version}"
    assert await reason(world, "clean/1") == ""
    assert await world.build("b3", "clean/1") == Success(jobs_completed=0)
    # A plan that does not look cannot know that the data is still that of the build.
    assert await reason(world, "clean/1", verify="none") == "INPUT_CHANGED"

    data.place.write("raw/1", "by hand, again")
    assert await reason(world, "clean/1") == "INPUT_CHANGED"


async def test_what_was_made_from_changed_data_is_stale_when_its_input_is_made_again(
    world: World, data: DerivedData
) -> None:
    await world.build("b1", "raw/1")
    data.place.write("raw/1", "by hand")
    await world.build("b2", "clean/1", "clean/3")
    data.place.remove("raw/1")
    data.made.clear()

    await world.build("b3", "raw/1")
    await world.build("b4", "clean/3")

    assert data.made == ["raw/1", "clean/1", "clean/2", "clean/3"]
    assert data.place.read("clean/3") == data.text("clean/3")


async def test_what_is_fresh_is_not_made_from_changed_data(world: World, data: DerivedData) -> None:
    await world.build("b1", "clean/1")
    data.place.write("raw/1", "by hand")
    data.made.clear()

    await world.build("b2", "clean/1", "clean/2", verify="all")

    assert data.made == ["raw/2", "clean/2"]


async def test_outputs_of_runs_whose_input_changed_meanwhile_are_tainted(world: World, data: DerivedData) -> None:
    await world.build("b1", "raw/1", "raw/2")
    data.after["clean/2"] = lambda: data.place.write("raw/2", "by hand")

    await world.build("b2", "clean/1", "clean/2")

    record = world.log.reader().partition_records(["clean/2"])["clean/2"]
    assert record.tainted
    assert record.taint_reason == "build b2: its input 'raw/2' changed in its store while the build ran"
    assert not is_tainted(world, "clean/1")
    (warning,) = warnings_of(world, "b2")[-1]
    assert warning.startswith(
        "the data of 1 partition changed in its store while the build ran, so that what was made from it is tainted: "
        "'raw/2' at file:///"
    )


async def test_a_failed_build_taints_as_well(world: World, tmp_path: Path) -> None:
    data = DerivedData(world, Folder(tmp_path / "data"), reports=False)
    await world.build("b1", "raw/1", "raw/2")
    data.after["clean/1"] = lambda: data.place.write("raw/1", "by hand")
    data.before["clean/2"] = lambda: data.place.remove("raw/2")

    assert isinstance(await world.build("b2", "clean/1", "clean/2", keep_going=True), Failed)

    assert is_tainted(world, "clean/1")


async def test_data_that_another_build_makes_again_has_not_changed(world: World, data: DerivedData) -> None:
    await world.build("b1", "raw/1")
    data.place.write("raw/1", "by hand")
    data.made.clear()

    assert not isinstance(await world.build("b2", "raw/1", force=True), Failed)
    await world.build("b3", "clean/1")

    assert warnings_of(world, "b3")[-1] == []
    assert not version_read(world, "clean/1").startswith("unrecorded:")


async def test_a_cancelled_build_taints_as_well(world: World, data: DerivedData) -> None:
    await world.build("b1", "raw/1", "raw/2")
    data.after["clean/1"] = lambda: data.place.write("raw/1", "by hand")

    def cancel() -> None:
        building.cancel()

    data.before["clean/2"] = cancel
    building = asyncio.create_task(world.build("b2", "clean/1", "clean/2"))

    assert isinstance(await building, Cancelled)

    assert is_tainted(world, "clean/1")
