"""The event logs of the chaos tests, and the number of rounds."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.postgresql.server import Server
from tests.support.fork_server import start_fork_server
from tests.support.stores import PostgresqlDatabases, SqliteFiles, Store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that takes a seed once for each seed.

    There are CHAOS_ROUNDS seeds from CHAOS_SEED on.
    """
    if "seed" in metafunc.fixturenames:
        rounds = int(os.environ.get("CHAOS_ROUNDS") or metafunc.module.ROUNDS)
        first = int(os.environ.get("CHAOS_SEED") or 1)
        metafunc.parametrize("seed", range(first, first + rounds))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="session")
def database(server: Server) -> PostgresqlDatabases:
    return PostgresqlDatabases(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Returns an empty log."""
    if request.param == "sqlite":
        return SqliteFiles(tmp_path)
    database: PostgresqlDatabases = request.getfixturevalue("database")
    database.execute("DROP SCHEMA IF EXISTS databuild CASCADE")
    return database


@pytest.fixture
def restart(request: pytest.FixtureRequest, store: Store) -> Callable[[signal.Signals], None] | None:
    """Returns a function that restarts the server; None if the log has no server."""
    if isinstance(store, SqliteFiles):
        return None
    server: Server = request.getfixturevalue("server")

    def stop_and_start(how: signal.Signals) -> None:
        server.stop(how)
        server.start()

    return stop_and_start


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    return start_fork_server("tests.chaos.building", "tests.chaos.racing", "tests.chaos.removing")
