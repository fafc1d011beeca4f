"""The executors of engines, and whole builds on them, compared with the cheapest client of the same engine.

All submit the same no-op to the same engine, with as many in flight. The engine runs on this machine and needs most of
the time. So the ratio is of the time that a user waits, and not of the work of the clients alone.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from benchmarks.processes import BrokenRunError
from benchmarks.rows import Row
from benchmarks.session import Measurement, Session
from databuild.event_log.open import open_event_log
from databuild.executors.engines import Engines
from databuild.executors.executor import ProcessSpec, RemoteExecutor
from databuild.executors.local import LocalExecutor
from databuild.executors.registry import ExecutorOptions
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.build_options import BuildOptions
from databuild.model.results import Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from tests.engines.casd import Casd
from tests.engines.cluster import Cluster

SCENARIO: Final = "engines"
PLAIN: Final = "plain client"
EXECUTOR: Final = "executor"
BUILD: Final = "build"
REAPI: Final = "REAPI"
DASK: Final = "Dask"

_IN_FLIGHT: Final = 16
_NO_OP: Final = "/bin/true"

PlainClient = Callable[[str, str], Awaitable[int]]
"""Runs a program under a name, and returns its exit code."""

RunOne = Callable[[str], Awaitable[int]]
"""Runs the no-op under a name, and returns its exit code."""


def compare_clients(session: Session, _: Mapping[str, Measurement]) -> Iterator[Row]:
    """Runs the no-op on each engine by a plain client, by the executor and by a build, in turns; yields their rows."""
    # Imported here, because gRPC and Dask would add to the peak memory of all processes that other scenarios start.
    from benchmarks.plain_dask import plain_dask
    from benchmarks.plain_reapi import plain_reapi
    from databuild.executors.dask import extension as dask
    from databuild.executors.reapi import extension as reapi

    engine = Casd()
    try:
        yield from asyncio.run(_measure(session, REAPI, engine.uri, plain_reapi, reapi.open_executor))
    finally:
        engine.close()
    with Cluster() as cluster:
        yield from asyncio.run(_measure(session, DASK, cluster.uri, plain_dask, dask.open_executor))


async def _measure(
    session: Session,
    name: str,
    uri: str,
    plain: Callable[[str], AbstractAsyncContextManager[PlainClient]],
    executor_of: Callable[[str, ExecutorOptions], RemoteExecutor],
) -> list[Row]:
    tasks = session.sizes.engine_tasks
    executor = executor_of(uri, ExecutorOptions())
    await executor.connect()
    seconds: dict[str, list[float]] = {PLAIN: [], EXECUTOR: [], BUILD: []}
    try:
        async with plain(uri) as run_plain:
            contestants = {PLAIN: lambda name: run_plain(name, _NO_OP), EXECUTOR: _by(executor)}
            for turn in range(session.repeats + 1):  # the first is not timed
                session.log(f"{SCENARIO}: {name}, turn {turn} of {session.repeats}")
                for contestant, run in contestants.items():
                    count = tasks if turn else _IN_FLIGHT
                    taken = await _run_all(run, [f"{contestant} {turn} {number}" for number in range(count)])
                    seconds[contestant] += [taken] if turn else []
                folder = session.folder / SCENARIO / name / str(turn)
                taken = await _build(folder, executor, tasks if turn else _IN_FLIGHT)
                seconds[BUILD] += [taken] if turn else []
    finally:
        await executor.close()
    return [
        Row(
            scenario=SCENARIO,
            size=tasks,
            name=f"{name}: {contestant}",
            tasks=tasks,
            processes=tasks,
            seconds=min(taken),
            median_seconds=statistics.median(taken),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
        for contestant, taken in seconds.items()
    ]


async def _run_all(run: RunOne, names: list[str]) -> float:
    """Runs the no-op under each name, and returns the wall time."""
    free = asyncio.Semaphore(_IN_FLIGHT)

    async def run_one(name: str) -> None:
        async with free:
            code = await run(name)
        if code:
            raise BrokenRunError(f"{_NO_OP} ended on the engine with exit code {code}")

    started = time.perf_counter()
    await asyncio.gather(*map(run_one, names))
    return time.perf_counter() - started


async def _build(folder: Path, executor: RemoteExecutor, tasks: int) -> float:
    """Builds as many partitions by a whole build with an event log on disk, and returns the wall time."""
    folder.mkdir(parents=True)
    job = Job(label="//:leaf", executable=_NO_OP, outputs=("leaf/{number:int}",), declaration=Declaration())
    event_log = open_event_log(f"sqlite:{folder}/events.db")
    context = BuildContext(
        catalog=JobCatalog(graph_label="//:graph", jobs={job.label: job}),
        event_log=event_log,
        executor=LocalExecutor(base_env={}),
        settings=Settings(working_directory="/", log_directory=str(folder)),
        engines=Engines([executor.uri], lambda _: executor),
    )
    request = BuildRequest(
        build_request_id="build",
        requested=tuple(f"leaf/{number}" for number in range(tasks)),
        options=BuildOptions(jobs=_IN_FLIGHT, executor=executor.uri),
    )
    started = time.perf_counter()
    result = await run_build(request, context)
    taken = time.perf_counter() - started
    await event_log.close()
    if result != Success(jobs_completed=tasks):
        raise BrokenRunError(f"the build on the engine ended with {result}")
    return taken


def _by(executor: RemoteExecutor) -> RunOne:
    async def run(name: str) -> int:
        result = await executor.run(ProcessSpec(argv=[_NO_OP], env={}, cwd="/", run_id=name))
        if result.lost or result.refused:
            raise BrokenRunError(result.lost or result.refused)
        return result.exit_code

    return run
