"""Environments whose data is in S3: comparison, promotion, and removal with the data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from databuild.event_log.open import EnvironmentLogs, open_event_log, open_reader
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.environment_views import Promotion, RemovedEnvironment
from databuild.model.results import Success
from databuild.orchestration.environments.comparison import compare
from databuild.orchestration.environments.environment_removal import remove
from databuild.orchestration.environments.promotion import promote
from databuild.orchestration.events.payloads import job_event, partition_available
from databuild.storage.storages import Storages
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.integration.object_stores.conftest import Bucket
from tests.postgresql.server import Server
from tests.support.step_builds import begin
from tests.support.stores import PostgresqlDatabases, SqliteFiles

JOB = "//:j"
CATALOG = JobCatalog(graph_label="//:g", jobs={JOB: Job(label=JOB, executable="j", outputs=(), code_digest="1")})


@pytest.fixture(scope="module")
def databases() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


class Logs:
    """The logs of a base and its environments, and the folders of the environments."""

    def __init__(self, uri: str, folder: Path, bucket: Bucket, storages: Storages) -> None:
        self.uri = uri
        self.logs = EnvironmentLogs(uri)
        self._folder = folder
        self._bucket = bucket
        self._storages = storages

    async def build(self, environment: str, build: str, **places: str) -> None:
        """Writes a build that makes partitions at places, and their objects."""
        log = open_event_log(self.uri, environment=environment)
        one = await begin(log, build, *places)
        for number, (ref, name) in enumerate(places.items(), 1):
            run = f"{build}.{number}.1"
            one.emit_job_scheduled(run, number, JOB)
            running = job_event(run, number, JOB, ev.JOB_STATUS_RUNNING)
            running.manifest.code_digest = "1"
            running.manifest.job_label = JOB
            one.emit(("job", running))
            one.emit_partition_building(ref, number, run)
            one.emit_job_completed(run, number, JOB)
            version = self._bucket.put(name, f"{ref} of {build}".encode()) if not name.endswith("/") else ""
            location = pt.Location(uri=f"{self._bucket.uri}/{name}", version=version)
            await one.emit(partition_available(ref, number, run, version, {"rows": len(build)}, location))
        await one.complete_build(Success(jobs_completed=len(places)))
        await log.close()

    async def promote(self, environment: str, *refs: str) -> Promotion:
        log = open_event_log(self.uri)
        with contextlib.closing(self.logs.reader(environment)) as reader:
            done = await promote(
                refs,
                environment=environment,
                reader=reader,
                event_log=log,
                catalog=CATALOG,
                operation_id="promotion",
                author="ann",
            )
        await log.close()
        return done

    def remove(self, environment: str, storages: Storages | None = None) -> RemovedEnvironment:
        folder = str(self._folder / environment)
        return remove(self.logs, environment, folder, storages or self._storages, with_data=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def logs(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket, storages: Storages) -> Logs:
    if request.param == "sqlite":
        uri = SqliteFiles(tmp_path).uri
    else:
        uri = PostgresqlDatabases(request.getfixturevalue("databases")).uri
    return Logs(uri, tmp_path, bucket, storages)


A, B = "data/.environments/a", "data/.environments/b"
USED = "the base or another environment uses it"


async def test_objects_of_an_environment_go_with_it(logs: Logs, bucket: Bucket) -> None:
    await logs.build("", "base", p="data/p")
    await logs.build("a", "b1", p=f"{A}/p", q=f"{A}/q")
    await logs.build("b", "b2", q=f"{B}/q")
    bucket.put(f"{A}x/p")
    done = logs.remove("a")

    assert sorted(done.deleted) == [f"{bucket.uri}/{A}/p", f"{bucket.uri}/{A}/q"]
    assert done.kept == {}
    assert sorted(bucket.names()) == [f"{A}x/p", f"{B}/q", "data/p"]
    assert logs.logs.names() == ["b"]


async def test_objects_are_compared_and_promoted_where_they_are(logs: Logs, bucket: Bucket) -> None:
    await logs.build("", "base", p="data/p")
    await logs.build("a", "other", p=f"{A}/p", q=f"{A}/q")
    with contextlib.closing(logs.logs.reader("a")) as reader:
        found = {one.ref: (one.status, [each.subject for each in one.differences]) for one in compare(reader)}
    promotion = await logs.promote("a", "p")
    done = logs.remove("a")
    with contextlib.closing(open_reader(logs.uri)) as reader:
        record = reader.partition_records(["p"])["p"]

    assert found == {"p": ("CHANGED", ["content", "metadata rows"]), "q": ("NEW", ["metadata rows"])}
    assert promotion.promoted == ("p",)
    assert record.location is not None
    assert record.location.uri == f"{bucket.uri}/{A}/p"
    assert (list(done.deleted), done.kept) == ([f"{bucket.uri}/{A}/q"], {f"{bucket.uri}/{A}/p": USED})
    assert sorted(bucket.names()) == [f"{A}/p", "data/p"]


async def test_a_prefix_with_promoted_objects_stays(logs: Logs, bucket: Bucket) -> None:
    await logs.build("a", "b1", part=f"{A}/t/part", table=f"{A}/t/", other=f"{A}/u/")
    bucket.put(f"{A}/t/rest")
    bucket.put(f"{A}/u/1")
    await logs.promote("a", "part")
    done = logs.remove("a")

    assert list(done.deleted) == [f"{bucket.uri}/{A}/u/"]
    assert done.kept == {f"{bucket.uri}/{A}/t/part": USED, f"{bucket.uri}/{A}/t/": USED}
    assert sorted(bucket.names()) == [f"{A}/t/part", f"{A}/t/rest"]


@pytest.mark.parametrize("name", ["data/p", f"{B}/p", f"{A}", f"{A}/../p", ".environments/ab/p", f"{A}/x/.."])
async def test_objects_elsewhere_stay(logs: Logs, bucket: Bucket, name: str) -> None:
    await logs.build("a", "b1", p=name)
    done = logs.remove("a")

    assert done.deleted == ()
    assert list(done.kept) == [f"{bucket.uri}/{name}"]
    assert bucket.names() == [name]


async def test_without_the_extension_objects_are_listed(logs: Logs, bucket: Bucket) -> None:
    await logs.build("a", "b1", p=f"{A}/p")
    done = logs.remove("a", Storages({}))

    assert "add storage = ['s3']" in done.kept[f"{bucket.uri}/{A}/p"]
    assert bucket.names() == [f"{A}/p"]


async def test_a_store_that_refuses_keeps_its_objects(logs: Logs, bucket: Bucket) -> None:
    await logs.build("a", "b1", p=f"{A}/p", q=f"{A}/q/")
    bucket.put(f"{A}/q/1")
    bucket.server.answer_writes_with(403)
    done = logs.remove("a")

    assert done.deleted == ()
    assert all("the test refuses writes" in fault for fault in done.kept.values())
    assert len(done.kept) == 2
    assert sorted(bucket.names()) == [f"{A}/p", f"{A}/q/1"]
