"""Old data and leftovers are cleaned up; what available data was made from stays."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from databuild.event_log import liveness
from databuild.event_log.verify import verify
from databuild.model.removal import Cleaning, CleanOptions, RemovedData
from databuild.model.results import Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.orchestration.maintenance.operations import taint
from databuild.orchestration.stores.cleaning import Cleaner
from databuild.orchestration.stores.leftovers import MIN_AGE_SECONDS
from databuild.orchestration.stores.removal import Removals
from databuild.storage.storages import Storages
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.build_world import CLEAN, RAW, World
from tests.support.file_jobs import Files

DAY = 86_400.0
ALL = CleanOptions(delete_inputs=True)
KEEPING = CleanOptions()


@pytest.fixture
def files(world: World, tmp_path: Path) -> Files:
    return Files(world, tmp_path)


def retain(world: World, **days: float) -> None:
    """Sets the retention of jobs in days."""
    jobs = world.catalog.jobs
    changed = {f"//:{name}": jobs[f"//:{name}"]._replace(retention_seconds=some * DAY) for name, some in days.items()}
    world.catalog = world.catalog._replace(jobs={**jobs, **changed})


async def clean(world: World, options: CleanOptions = KEEPING, *, days: float = 0.0, parts: int = 100) -> Cleaning:
    """Cleans some days later, and stops after some parts."""

    def later() -> float:
        return time.time() + days * DAY

    left = iter(range(parts))
    removing = Removals(world.log, world.executor, Storages({}), produced=world.catalog.may_produce, clock=later)
    cleaner = Cleaner(world.log, world.catalog, removing, clock=later)
    return await cleaner.clean(options, author="ann", stop=lambda: next(left, None) is None)


def refs(data: Sequence[RemovedData]) -> list[str]:
    return [one.ref for one in data]


async def test_data_that_is_older_than_its_retention_is_deleted(world: World, files: Files) -> None:
    await world.build("b1", "raw/1", "raw/2", "clean/3")
    retain(world, raw=90)
    assert await clean(world, days=89) == Cleaning()
    done = await clean(world, days=91)

    assert (done.deleted, done.bytes, done.kept, done.refused, refs(done.data)) == (2, 10, 1, 0, ["raw/1", "raw/2"])
    assert [files.path(f"raw/{number}").exists() for number in (1, 2, 3)] == [False, False, True]
    assert world.records("raw/1")["raw/1"].status == "DELETED"
    assert (await clean(world, days=91))._replace(kept=0) == Cleaning()
    assert verify(world.log.reader()).reported == ()


async def test_a_dry_run_deletes_nothing(world: World, files: Files) -> None:
    await world.build("b1", "raw/1", "clean/2")
    retain(world, raw=1)
    listed = await clean(world, CleanOptions(dry_run=True), days=2)

    assert (listed.deleted, listed.bytes, listed.kept, refs(listed.data)) == (1, 5, 1, ["raw/1"])
    assert files.path("raw/1").exists()
    assert world.records("raw/1")["raw/1"].available


async def test_inputs_are_deleted_if_that_is_asked_for_and_their_outputs_stay_fresh(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    retain(world, raw=1)
    done = await clean(world, ALL, days=2)
    files.made.clear()

    assert (refs(done.data), done.kept) == (["raw/1"], 0)
    assert await world.build("b2", "clean/1") == Success()
    assert files.made == []


async def test_inputs_go_with_the_outputs_that_were_made_from_them(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    retain(world, raw=1, clean=1)
    done = await clean(world, days=2)

    assert (sorted(refs(done.data)), done.kept) == (["clean/1", "raw/1"], 0)
    assert not files.path("raw/1").exists()


async def test_inputs_of_data_that_cannot_be_deleted_stay(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    files.path("clean/1").write_text("changed")
    retain(world, raw=1, clean=1)
    done = await clean(world, days=2)

    assert (done.deleted, done.kept, done.refused) == (0, 1, 1)
    assert "was changed since it was made" in done.data[0].fault
    assert files.path("raw/1").exists()


async def test_inputs_of_unavailable_data_do_not_stay(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    removals = Removals(world.log, world.executor, Storages({}), produced=world.catalog.may_produce)
    (row,) = world.log.reader().placed_data_of(["clean/1"])
    await removals.delete([row], author="ann", reason="old")
    retain(world, raw=1)

    assert refs((await clean(world, days=2)).data) == ["raw/1"]


async def test_data_without_a_location_is_counted(world: World) -> None:
    await world.build("b1", "raw/1")
    retain(world, raw=1)
    done = await clean(world, days=2)

    assert (done.deleted, done.refused) == (0, 1)
    assert "no job has reported its location" in done.data[0].fault


async def test_a_cleaning_continues_where_it_was_stopped(world: World, files: Files) -> None:
    await world.build("b1", *(f"raw/{number}" for number in range(1, 4)))
    retain(world, raw=1)
    first = await clean(world, days=2, parts=0)
    second = await clean(world, days=2)

    assert (first.deleted, first.more) == (0, True)
    assert (first.plus(second).deleted, first.plus(second).more) == (3, False)
    assert not files.path("raw/1").exists()


async def test_interrupted_deletions_are_finished(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    version = world.records("raw/1")["raw/1"].version
    event = ev.BuildEvent(event_id="m/1", build_request_id="m", sequence=1)
    event.removal.kind = pt.PARTITION_STATUS_DELETED
    event.removal.partitions.add(ref="raw/1", version=version)
    await world.log.append([event])
    done = await clean(world)

    assert refs(done.data) == ["raw/1"]
    assert not files.path("raw/1").exists()
    assert world.records("raw/1")["raw/1"].location is None


async def test_tainted_data_is_deleted_as_well(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    await world.log.append(taint(world.log.reader(), ["raw/1"], tainted=True, author="ann", reason="wrong"))
    retain(world, raw=1)

    assert refs((await clean(world, days=2)).data) == ["raw/1"]
    assert not files.path("raw/1").exists()


def leave(folder: Path, name: str, *, age: float = 2 * MIN_AGE_SECONDS) -> Path:
    """Leaves a file that was written some seconds ago."""
    path = folder / name
    path.write_text("half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


async def running(world: World) -> BuildOrchestrator:
    """Begins a build whose job run `live.1.1` is under way."""
    one = BuildOrchestrator(world.log, "live", ["raw/9"], clock=time.time)
    world.log.renew_lease("live", liveness.this_process(), 60)
    one.start_build(graph_label="//:g")
    one.start_planning()
    one.emit_partition_scheduled("raw/9", 1, pt.REASON_MISSING)
    one.complete_planning()
    one.start_execution()
    for status in (ev.JOB_STATUS_SCHEDULED, ev.JOB_STATUS_RUNNING):
        await one.emit(("job", job_event("live.1.1", 1, RAW, status, 1)))
    return one


async def test_leftovers_of_ended_runs_are_removed(world: World, files: Files, tmp_path: Path) -> None:
    await world.build("b1", "clean/1")
    one = await running(world)
    left = [
        leave(tmp_path, ".b1.1.1.5.123.partial.raw-1"),
        leave(tmp_path, ".b1.7.1.5.123.partial.of a run without a record"),
    ]
    stays = [
        leave(tmp_path, ".live.1.1.6.123.partial.raw-9"),
        leave(tmp_path, ".other.1.1.6.123.partial.of another event log"),
        leave(tmp_path, ".123.partial.of a program that was started by hand"),
        leave(tmp_path, ".b1.1.1.5.123.partial.young", age=-0.1 * DAY),
        leave(tmp_path, "b1.1.1.5.123.partial.data"),
        leave(tmp_path, ".hidden"),
    ]
    folder = tmp_path / ".b1.1.1.5.123.partial.folder"
    folder.mkdir()
    (tmp_path / ".b1.1.1.5.124.partial.link").symlink_to(stays[-1])

    listed = await clean(world, CleanOptions(dry_run=True), days=0.1)
    assert (listed.leftovers, listed.leftover_bytes) == (2, 8)
    assert all(path.exists() for path in left)
    done = await clean(world, days=0.1)
    assert (done.leftovers, done.leftover_bytes) == (2, 8)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (*stays, folder))
    assert files.path("raw/1").exists()
    await one.complete_build(Failed(message="no"))
    done = await clean(world, days=0.1)
    assert (done.leftovers, stays[0].exists(), stays[1].exists()) == (1, False, True)


async def test_a_run_counts_as_ended_only_after_a_while(world: World, files: Files, tmp_path: Path) -> None:
    await world.build("b1", "raw/1")
    left = leave(tmp_path, ".b1.1.1.5.123.partial.raw-1")

    assert (await clean(world)).leftovers == 0
    assert left.exists()
    assert files.path("raw/1").exists()


async def test_tokens_of_deleted_files_are_removed(world: World, files: Files, tmp_path: Path) -> None:
    await world.build("b1", "raw/1")
    tokens = [leave(tmp_path, name) for name in (".raw-1.token", ".raw-8.token", ".raw-7.token")]
    for path in tokens[:2]:
        path.write_text(f"{5:020}")
    os.utime(tokens[1], (1.0, 1.0))
    done = await clean(world, days=1)

    assert (done.leftovers, done.leftover_bytes) == (1, 20)
    assert [path.exists() for path in tokens] == [True, False, True]
    assert files.path("raw/1").exists()


async def test_retention_is_of_the_patterns_of_a_job(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    await world.build("b2", "raw/2")
    retain(world, clean=1)

    assert refs((await clean(world, days=2)).data) == ["clean/1"]
    assert world.catalog.jobs[CLEAN].retention_seconds == DAY
    assert files.path("raw/2").exists()
