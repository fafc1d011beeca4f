"""The event logs under the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from tests.postgresql.server import Server
from tests.support.stores import PostgresqlDatabases, SqliteFiles, Store


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URI of an empty log."""
    if request.param == "memory":
        return "memory:"
    if request.param == "sqlite":
        return SqliteFiles(tmp_path).uri
    return PostgresqlDatabases(request.getfixturevalue("server")).uri


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Returns the URI of a log that this process and others can open again."""
    if request.param == "sqlite":
        return SqliteFiles(tmp_path)
    return PostgresqlDatabases(request.getfixturevalue("server"))


@pytest.fixture
async def log(uri: str) -> AsyncIterator[EventLog]:
    opened = open_event_log(uri)
    yield opened
    await opened.close()
