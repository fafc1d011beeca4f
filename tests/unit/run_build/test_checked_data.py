"""Data at which DataBuild cannot look: builds ask its jobs whether it still exists."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from databuild.errors import StorageError
from databuild.event_log.verify import verify
from databuild.executors.executor import ProcessResult
from databuild.job.locations import file_uri
from databuild.model.results import Cancelled, FailFast, Success
from tests.support.build_world import CLEAN, RAW, AtExecution, World, warnings_of
from tests.support.table_jobs import Table


@pytest.fixture
def table(world: World) -> Table:
    return Table(world)


async def test_a_lost_input_is_made_again_in_the_same_build(world: World, table: Table) -> None:
    await world.build("b1", "raw/1", "raw/2")
    del table.rows["raw/1"]
    table.made.clear()

    assert await world.build("b2", "clean/1", "clean/2") == Success(jobs_completed=3)
    assert table.made == ["clean/2", "raw/1", "clean/1"]
    assert world.executor.checked == [(RAW, "", ("raw/1", "raw/2"))]
    assert warnings_of(world, "b2")[-1] == []
    assert verify(world.log.reader()).reported == ()


@pytest.mark.parametrize(
    ("policy", "asked"),
    [("none", set()), ("inputs", set()), ("requested", {CLEAN}), ("all", {CLEAN, RAW})],
)
async def test_the_policy_says_which_data_is_asked_about(
    world: World, table: Table, policy: str, asked: set[str]
) -> None:
    await world.build("b1", "clean/1")

    assert await world.build("b2", "clean/1", verify=policy) == Success(jobs_completed=0)
    assert {label for label, _, _ in world.executor.checked} == asked


async def test_without_the_attribute_no_process_is_started(world: World) -> None:
    table = Table(world, check=False)
    await world.build("b1", "raw/1")
    table.rows.clear()

    assert isinstance(await world.build("b2", "clean/1", verify="all"), FailFast)
    assert world.executor.checked == []


async def test_data_at_a_place_that_can_be_looked_at_is_not_asked_about(
    world: World, table: Table, tmp_path: Path
) -> None:
    file = tmp_path / "raw 1"
    file.touch()
    table.uris = {"raw/1": file_uri(file), "raw/2": "postgresql://h/raw/2"}
    await world.build("b1", "raw/1", "raw/2", "raw/3")

    await world.build("b2", "clean/1", "clean/2", "clean/3")
    assert world.executor.checked == [(RAW, "", ("raw/2", "raw/3"))]


async def test_a_check_that_fails_warns_and_records_nothing(world: World, table: Table) -> None:
    await world.build("b1", "raw/1")
    world.executor.checks = lambda _: ProcessResult(exit_code=1, stderr=b"no database\n")

    assert await world.build("b2", "clean/1") == Success(jobs_completed=1)
    assert table.made == ["raw/1", "clean/1"]
    assert warnings_of(world, "b2")[-1] == ["`check` of //:raw failed: it ended with exit code 1: no database"]


async def test_a_warning_names_what_a_job_cannot_read(world: World, table: Table) -> None:
    table.uris = {"raw/2": "postgresql://h/raw/2"}
    await world.build("b1", "raw/1", "raw/2", "raw/3")
    answer = {"found": {"raw/3": {}}, "unreadable": {"raw/1": "locked", "raw/2": "no rights"}}
    world.executor.checks = lambda _: ProcessResult(exit_code=0, stdout=json.dumps(answer).encode())

    assert await world.build("b2", "clean/1", "clean/2", "clean/3") == Success(jobs_completed=3)
    assert warnings_of(world, "b2")[-1] == [
        (
            "the data of 2 partitions cannot be looked at in its store, and is used unchecked: "
            "'raw/1' (locked); 'raw/2' at postgresql://h/raw/2 (no rights)"
        )
    ]


async def test_a_job_that_finds_nothing_stops_the_build(world: World, table: Table) -> None:
    await world.build("b1", "raw/1", "raw/2", "raw/3")
    table.rows.clear()
    table.made.clear()

    with pytest.raises(StorageError, match="`check` of //:raw finds none of 3 partitions") as raised:
        await world.build("b2", "clean/2")
    assert raised.value.remedy == "CONFIRM_LOSSES"
    assert world.executor.checked == [(RAW, "", ("raw/2",)), (RAW, "", ("raw/1", "raw/3"))]
    assert table.made == []
    assert "raw/2" not in world.statuses("b2")
    assert world.records("raw/2")["raw/2"].available


async def test_the_only_partition_of_a_job_may_be_lost(world: World, table: Table) -> None:
    await world.build("b1", "raw/1")
    table.rows.clear()

    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)
    assert table.made == ["raw/1", "raw/1", "clean/1"]


async def test_inputs_of_a_task_that_starts_later_are_asked_about_again(world: World, table: Table) -> None:
    world.settings = world.settings._replace(input_check_seconds=0.0)
    await world.build("b1", "raw/1", "raw/2")
    table.made.clear()
    world.log.observe(AtExecution(lambda: table.remove("raw/1")))

    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)
    assert table.made == ["raw/1", "clean/1"]
    assert world.runs("b2") == [("b2.2.1", "COMPLETED"), ("b2.1.1", "COMPLETED")]


async def test_a_build_can_be_cancelled_while_a_job_answers(world: World, table: Table) -> None:
    await world.build("b1", "raw/1")
    asked = asyncio.Event()
    ended: list[str] = []

    async def hang() -> ProcessResult:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("check")
        raise AssertionError("nothing ends the process")

    world.executor.checks = lambda _: hang()
    build = asyncio.create_task(world.build("b2", "clean/1"))
    await asked.wait()
    build.cancel("ann")

    assert await build == Cancelled(jobs_completed=0, author="ann")
    assert ended == ["check"]
    assert table.made == ["raw/1"]


async def test_a_lookup_asks_the_job_that_made_the_data(world: World, table: Table) -> None:
    await world.build("b1", "raw/1", "raw/2")
    del table.rows["raw/1"]
    world.catalog = world.catalog._replace(lookup="/bin/lookup")
    world.executor.lookup = {"raw/1": RAW, "raw/2": RAW, "clean/1": CLEAN}

    assert await world.build("b2", "clean/1", "raw/2", verify="all") == Success(jobs_completed=2)
    assert world.executor.checked == [(RAW, "", ("raw/1", "raw/2"))]
