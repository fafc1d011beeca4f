"""Data in S3 is deleted only if it is the recorded data, and is recorded as deleted only if it is gone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from databuild.event_log.verify import verify
from databuild.executors.executor import ProcessResult
from databuild.model.records import Location
from databuild.model.removal import CleanOptions, Deletion
from databuild.model.results import Success
from databuild.orchestration.stores.cleaning import Cleaner
from databuild.orchestration.stores.deletion import DataStores, Found
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.storage.storage import Storage
from databuild.storage.storages import Storages
from tests.integration.object_stores.conftest import Bucket
from tests.support.build_world import DONE, RAW, Report, World
from tests.support.derived_data import DerivedData, Objects

DAY = 86_400.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.log.close()


@pytest.fixture
def data(world: World, bucket: Bucket, storages: Storages) -> DerivedData:
    return DerivedData(world, Objects(storages, bucket.uri))


def removals(world: World, storages: Storages) -> Removals:
    return Removals(world.log, world.executor, storages, produced=world.catalog.may_produce)


async def delete(world: World, storages: Storages, *refs: str, dry_run: bool = False) -> Deletion:
    removing = removals(world, storages)
    return await removing.delete_part(Selection(refs, tuple), author="ann", reason="old", dry_run=dry_run)


def faults(deletion: Deletion) -> dict[str, str]:
    return {one.ref: one.fault for one in deletion.data}


def status(world: World, ref: str) -> tuple[str, bool]:
    """Returns the status of a partition, and if its location is known."""
    record = world.records(ref)[ref]
    return record.status, record.location is not None


async def test_an_object_is_deleted_alone(world: World, bucket: Bucket, storages: Storages, data: DerivedData) -> None:
    await world.build("b1", "clean/1")
    for name in ("raw/10", "raw/1/part", "raw/1.csv"):
        bucket.put(name)
    listed = await delete(world, storages, "raw/1", dry_run=True)
    done = await delete(world, storages, "raw/1")

    assert [(one.ref, one.uri, one.size, one.fault) for one in listed.data] == [
        ("raw/1", f"{bucket.uri}/raw/1", len("raw/1 of ()"), "")
    ]
    assert done.data == listed.data
    assert bucket.names() == ["clean/1", "raw/1.csv", "raw/1/part", "raw/10"]
    assert status(world, "raw/1") == ("DELETED", False)
    assert (await delete(world, storages, "raw/1")).data == ()
    assert verify(world.log.reader()).reported == ()


async def test_an_object_that_changes_after_the_dry_run_stays(
    world: World, bucket: Bucket, storages: Storages, data: DerivedData
) -> None:
    await world.build("b1", "raw/1")
    assert faults(await delete(world, storages, "raw/1", dry_run=True)) == {"raw/1": ""}
    bucket.put("raw/1", b"RAW/1 OF ()")  # of the same size

    assert "was changed since it was made" in faults(await delete(world, storages, "raw/1"))["raw/1"]
    assert bucket.names() == ["raw/1"]
    assert status(world, "raw/1") == ("AVAILABLE", True)


async def test_old_objects_are_cleaned_up(world: World, bucket: Bucket, storages: Storages, data: DerivedData) -> None:
    await world.build("b1", "raw/2", "clean/1")
    jobs = world.catalog.jobs
    world.catalog = world.catalog._replace(jobs={**jobs, RAW: jobs[RAW]._replace(retention_seconds=DAY)})
    cleaner = Cleaner(world.log, world.catalog, removals(world, storages), clock=lambda: time.time() + 2 * DAY)
    done = await cleaner.clean(CleanOptions(), author="ann")

    assert (done.deleted, done.kept, done.refused) == (1, 1, 0)
    assert bucket.names() == ["clean/1", "raw/1"]


async def test_data_of_a_build_that_reads_it_stays(
    world: World, bucket: Bucket, storages: Storages, data: DerivedData
) -> None:
    await world.build("b1", "raw/1")
    found: list[dict[str, str]] = []
    run = world.executor.runs["//:clean"]

    async def run_and_delete(env: Mapping[str, str], report: Report) -> ProcessResult:
        found.append(faults(await delete(world, storages, "raw/1")))
        result = run(env, report)
        assert isinstance(result, ProcessResult)
        return result

    world.executor.runs["//:clean"] = run_and_delete
    assert await world.build("b2", "clean/1") == Success(jobs_completed=1)

    assert found == [{"raw/1": "build b2 reads it"}]
    assert faults(await delete(world, storages, "raw/1")) == {"raw/1": ""}
    assert bucket.names() == ["clean/1"]


async def produce(world: World, uri: str, version: str = "etag") -> None:
    """Builds `raw/1` with a job that reports a location."""
    location = {"uri": uri, "size_bytes": 4, "version": version}

    def run(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1", "location": location}})
        return DONE

    world.executor.runs[RAW] = run
    await world.build("b1", "raw/1")


async def test_nothing_is_deleted_in_a_bucket_that_is_away(world: World, bucket: Bucket, storages: Storages) -> None:
    name = f"away-{bucket.prefix[:8]}"
    await produce(world, f"s3://{name}/raw/1", bucket.put("copy"))

    for dry_run in (True, False):
        fault = faults(await delete(world, storages, "raw/1", dry_run=dry_run))["raw/1"]
        assert f"the bucket s3://{name}/ does not exist" in fault
    assert status(world, "raw/1") == ("AVAILABLE", True)
    bucket.server.create_bucket(name)
    bucket.server.put("raw/1", b"data", name)
    assert faults(await delete(world, storages, "raw/1")) == {"raw/1": ""}
    assert status(world, "raw/1") == ("DELETED", False)


async def test_a_store_that_refuses_is_asked_again_later(
    world: World, bucket: Bucket, storages: Storages, data: DerivedData
) -> None:
    await world.build("b1", "raw/1")
    bucket.server.answer_writes_with(403)
    assert "the test refuses writes" in faults(await delete(world, storages, "raw/1"))["raw/1"]
    assert status(world, "raw/1") == ("DELETED", True)
    assert bucket.names() == ["raw/1"]
    bucket.server.answer_writes_with(200)
    done = await Cleaner(world.log, world.catalog, removals(world, storages)).clean(CleanOptions(), author="ann")

    assert done.deleted == 1
    assert bucket.names() == []
    assert status(world, "raw/1") == ("DELETED", False)


class Died(BaseException):
    """The process of a deletion has died."""


class DyingStorages(Storages):
    """Storages of a process that dies right after it has removed an object."""

    def __init__(self, storages: Storages) -> None:
        super().__init__({"s3": ()})
        self._storages = storages

    def for_uri(self, uri: str) -> Storage:
        return _Dying(self._storages.for_uri(uri))


class _Dying:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.stat = storage.stat
        self.list = storage.list
        self.beginning_with = storage.beginning_with
        self.has_root = storage.has_root
        self.folders = storage.folders
        self.read = storage.read
        self.write = storage.write
        self.remove_below = storage.remove_below

    def remove(self, uri: str) -> None:
        self._storage.remove(uri)
        raise Died


async def test_a_deletion_that_dies_after_the_removal_is_completed(
    world: World, bucket: Bucket, storages: Storages, data: DerivedData
) -> None:
    await world.build("b1", "clean/1")
    with pytest.raises(Died):
        await delete(world, DyingStorages(storages), "raw/1")
    assert (status(world, "raw/1"), bucket.names()) == (("DELETED", True), ["clean/1"])

    assert faults(await delete(world, storages, "raw/1")) == {"raw/1": ""}
    assert status(world, "raw/1") == ("DELETED", False)
    data.made.clear()
    assert await world.build("b2", "clean/1") == Success()
    assert data.made == []
    assert verify(world.log.reader()).reported == ()


async def test_a_build_makes_data_again_whose_deletion_died(
    world: World, bucket: Bucket, storages: Storages, data: DerivedData
) -> None:
    await world.build("b1", "raw/1")
    with pytest.raises(Died):
        await delete(world, DyingStorages(storages), "raw/1")
    assert await world.build("b2", "raw/1") == Success(jobs_completed=1)

    done = await Cleaner(world.log, world.catalog, removals(world, storages)).clean(CleanOptions(), author="ann")
    assert done.deleted == 0
    assert bucket.names() == ["raw/1"]
    assert status(world, "raw/1") == ("AVAILABLE", True)


ODD_NAMES = ("a b", "é", "100%", "a%2Fb", "a+b", "quote'\"", "&<x>", "#1", "x;y=z", "~", "\\", ".hidden", "a:b@c")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_key_is_deleted_exactly(bucket: Bucket, storages: Storages, name: str) -> None:
    version = bucket.put(name)
    others = [f"{name}x", f"x{name}", "a/b"]
    for other in others:
        bucket.put(other)
    (found,) = DataStores(storages, ()).delete([Location(f"{bucket.uri}/{name}", 4, f'"{version}"')])

    if "#" in name:
        assert "neither a user nor a password nor a query" in found.fault
    else:
        assert found == Found(4)
        assert sorted(bucket.names()) == sorted(others)


@pytest.mark.parametrize("name", ["a/../b", "a/./b", "a//b", "*", "a?", "[ab]", "b", "a"])
def test_keys_that_lead_elsewhere_are_refused(bucket: Bucket, storages: Storages, name: str) -> None:
    for other in ("a/x", "b", "a/../b"):
        bucket.put(other)
    before = bucket.names()
    uri = f"{bucket.uri}/{name}"

    assert DataStores(storages, (), force=name not in {"a", "b"}).delete([Location(uri, 4, "other")])[0].fault != ""
    assert bucket.names() == before


def test_a_prefix_is_deleted_with_whatever_is_below_it_and_nothing_else(bucket: Bucket, storages: Storages) -> None:
    below = ["1", "sub/2", ".hidden", "*", "?", "[12]", "[", "a b", "é", "100%25"]
    beside = ["day2/1", "day", "da", "dayx"]
    for name in (*(f"day/{name}" for name in below), *beside[:1], *beside[2:]):
        bucket.put(name)
    location = Location(f"{bucket.uri}/day/")
    (refused,) = DataStores(storages, ()).delete([location])
    (looked,) = DataStores(storages, (), force=True).look([location])
    (done,) = DataStores(storages, (), force=True).delete([location])

    assert "no job has reported the version" in refused.fault
    assert done == looked == Found(4 * len(below))
    assert bucket.names() == ["da", "day2/1", "dayx"]


def test_objects_that_the_store_keeps_are_no_success(bucket: Bucket, storages: Storages) -> None:
    for name in ("day/1", "day/2"):
        bucket.put(name)
    bucket.server.keep_objects(True)
    (found,) = DataStores(storages, (), force=True).delete([Location(f"{bucket.uri}/day")])
    bucket.server.keep_objects(False)

    assert f"the store has kept 2 of 2 objects, such as {bucket.uri}/day/1" in found.fault
    assert bucket.names() == ["day/1", "day/2"]


def test_an_object_that_the_library_cannot_name_is_no_success(bucket: Bucket, storages: Storages) -> None:
    bucket.put("day/1?versionId=2")
    (found,) = DataStores(storages, (), force=True).delete([Location(f"{bucket.uri}/day")])

    assert "the store has kept 1 of 1 objects" in found.fault
    assert bucket.names() == ["day/1?versionId=2"]
