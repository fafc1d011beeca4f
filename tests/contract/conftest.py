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
    return _empty_log(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Returns the URI of a log that this process and others can open again."""
    if request.param == "sqlite":
        return SqliteFiles(tmp_path)
    return PostgresqlDatabases(request.getfixturevalue("server"))


@pytest.fixture(params=["memory", "sqlite", "postgresql", "sqlite environment", "postgresql environment"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    """Returns an empty log: that of a base, or that of an environment over an empty base."""
    kind, _, environment = request.param.partition(" ")
    opened = open_event_log(_empty_log(kind, request, tmp_path), environment=environment)
    yield opened
    await opened.close()


def _empty_log(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Returns the URI of an empty log."""
    if kind == "memory":
        return "memory:"
    if kind == "sqlite":
        return SqliteFiles(folder).uri
    return PostgresqlDatabases(request.getfixturevalue("server")).uri
