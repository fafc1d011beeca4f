"""After a build that dies before, in or after any of its transactions, the next build completes the rest."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from databuild.event_log.open import open_event_log, open_reader
from databuild.event_log.reads import Reader
from databuild.event_log.tables import CLAIMS, LEASES
from databuild.event_log.verify import verify
from databuild.model.results import BuildResult, Success
from tests.integration import crashing
from tests.postgresql.server import Server
from tests.support.fork_server import start_fork_server
from tests.support.present import present
from tests.support.stores import PostgresqlDatabases, SqliteFiles


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresqlDatabases]:
    server = Server()
    made = PostgresqlDatabases(server)
    made.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")  # the server itself does not die
    yield made
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], tuple[Path, str]]:
    """Returns a function that makes a folder and the URI of an empty log."""
    numbers = itertools.count()

    def make() -> tuple[Path, str]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        if request.param == "sqlite":
            return folder, SqliteFiles(folder).uri
        database: PostgresqlDatabases = request.getfixturevalue("database")
        database.execute("DROP SCHEMA IF EXISTS databuild CASCADE")
        return folder, database.uri

    return make


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    return start_fork_server("tests.integration.crashing")


def run_and_die(processes: ForkServerContext, *args: object) -> bool:
    """Runs a build in its own process, and returns True if it died at the given point."""
    process = processes.Process(target=crashing.build_and_die, args=args)
    process.start()
    process.join()
    assert process.exitcode in {crashing.DIED, crashing.NOT_REACHED}
    return process.exitcode == crashing.DIED


def complete_tasks(reader: Reader, build: str) -> set[str]:
    """Returns the tasks whose outputs are all available, each by its first output."""
    available = {one.ref for one in reader.build_partitions(build, status="AVAILABLE")}
    return {outputs[0] for outputs in crashing.MADE_TOGETHER if available.issuperset(outputs)}


async def build(uri: str, name: str, folder: Path) -> BuildResult:
    log = open_event_log(uri)
    result = await crashing.build(log, name, folder)
    await log.close()
    return result


def go_on(uri: str, folder: Path, *died: str) -> None:
    """Builds the rest after dead builds, and checks that nothing else is built."""
    reader = open_reader(uri)
    assert verify(reader).reported == ()
    complete = {ref for name in died for ref in complete_tasks(reader, name)}
    missing = {outputs[0] for outputs in crashing.MADE_TOGETHER} - complete

    result = asyncio.run(build(uri, "next", folder))

    assert result == Success(jobs_completed=len(missing))
    assert sorted(crashing.Executor(folder).made_by("next")) == sorted(missing)
    records = reader.partition_records([ref for outputs in crashing.MADE_TOGETHER for ref in outputs])
    assert [record.available for record in records.values()] == [True] * 6
    for name in died:
        dead = reader.build(name)
        assert (
            dead is None or dead.status == "COMPLETED" or "its orchestrator has died" in present(dead.failure).message
        )
    assert list(reader.rows(LEASES)) == list(reader.rows(CLAIMS)) == []
    assert verify(reader).reported == ()
    reader.close()


@pytest.mark.parametrize("moment", ["before", "in", "after"])
def test_a_build_that_dies_at_any_point_is_gone_on_from(
    processes: ForkServerContext, new_uri: Callable[[], tuple[Path, str]], moment: str
) -> None:
    for point in itertools.count(1):
        folder, uri = new_uri()
        if not run_and_die(processes, uri, "dead", folder, point, moment):
            break
        go_on(uri, folder, "dead")

    assert point > 20


def test_a_build_that_dies_at_any_point_while_it_goes_on_from_a_dead_one_is_gone_on_from(
    processes: ForkServerContext, new_uri: Callable[[], tuple[Path, str]]
) -> None:
    for point in itertools.count(1):
        folder, uri = new_uri()
        run_and_die(processes, uri, "dead", folder, 15, "after")
        if not run_and_die(processes, uri, "dead-too", folder, point, "after"):
            break
        go_on(uri, folder, "dead", "dead-too")

    assert point > 10
