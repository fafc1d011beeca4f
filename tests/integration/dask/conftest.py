"""Executors for the tests of one cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from distributed import Client

from databuild.executors.dask.dask_executor import DaskExecutor
from databuild.executors.registry import ExecutorOptions
from tests.engines.cluster import Cluster
from tests.support.executors import Runs

Open = Callable[..., Awaitable[DaskExecutor]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Returns a cluster that a test may break."""
    with Cluster() as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def opened() -> AsyncIterator[Open]:
    """Returns a function that connects to a cluster until the end of the test."""
    executors: list[DaskExecutor] = []

    async def opened(cluster: Cluster, options: ExecutorOptions | None = None, **settings: Any) -> DaskExecutor:
        executor = DaskExecutor(cluster.uri, options or ExecutorOptions(grace_seconds=0.1), **settings)
        executors.append(executor)
        await executor.connect()
        return executor

    yield opened
    for executor in executors:
        await executor.close()


async def tasks_of(cluster: Cluster, *states: str) -> int:
    """Returns the number of tasks that the scheduler has; in some states, if any are given."""
    async with Client(cluster.address, asynchronous=True, set_as_default=False) as client:
        found: list[str] = await client.run_on_scheduler(
            lambda dask_scheduler: [task.state for task in dask_scheduler.tasks.values()]
        )
    return sum(not states or state in states for state in found)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)
