"""The event logs that the contract is tested with."""

from pathlib import Path

import pytest

from databuild.event_log.open import open_event_log
from tests.postgresql.server import Server
from tests.support.stores import PostgresqlDatabases, SqliteFiles


@pytest.fixture(scope="session")
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path):
    """Returns the URI of an empty log."""
    if request.param == "memory":
        return "memory:"
    if request.param == "sqlite":
        return SqliteFiles(tmp_path).uri
    return PostgresqlDatabases(request.getfixturevalue("server")).uri


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    """Returns where a log can be opened again, by this process and by others."""
    if request.param == "sqlite":
        return SqliteFiles(tmp_path)
    return PostgresqlDatabases(request.getfixturevalue("server"))


@pytest.fixture
async def log(uri):
    opened = open_event_log(uri)
    yield opened
    await opened.close()
