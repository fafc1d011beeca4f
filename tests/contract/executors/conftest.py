"""The executors that the contract is tested with. A new one is an entry in `_remote` and in the lists of names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from databuild.executors.dask import extension as dask
from databuild.executors.reapi import extension as reapi
from tests.engines.casd import Casd
from tests.engines.cluster import Cluster
from tests.support.executors import ExecutorCase, LocalCase, OpenedByScheme, QueuedCase, RemoteCase, Runs, WorkerCase

REMOTE = ["dask", "reapi"]


@pytest.fixture(scope="session")
def casd() -> Iterator[Casd]:
    engine = Casd()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster() as engine:
        yield engine


@pytest_asyncio.fixture(loop_scope="module", params=["local", "queued", "worker", *REMOTE])
async def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ExecutorCase]:
    """Returns each executor."""
    if request.param == "local":
        yield LocalCase()
        return
    if request.param == "queued":
        queued = QueuedCase()
        yield queued
        await queued.close()
        return
    if request.param == "worker":
        workers = WorkerCase(tmp_path_factory.mktemp("worker"))
        yield workers
        await workers.close()
        return
    remote = _remote(request)
    yield remote
    await remote.close()


@pytest_asyncio.fixture(loop_scope="module", params=REMOTE)
async def remote_case(request: pytest.FixtureRequest) -> AsyncIterator[RemoteCase]:
    """Returns each executor with an engine."""
    remote = _remote(request)
    yield remote
    await remote.close()


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def _remote(request: pytest.FixtureRequest) -> OpenedByScheme:
    if request.param == "dask":
        cluster: Cluster = request.getfixturevalue("cluster")
        return OpenedByScheme(dask.open_executor, cluster.uri)
    engine: Casd = request.getfixturevalue("casd")
    return OpenedByScheme(reapi.open_executor, engine.uri)
