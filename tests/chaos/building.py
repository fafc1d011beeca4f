"""The processes of the chaos tests: orchestrators with a short lease, over a small graph of three levels.

Imports no pytest, so that processes start fast.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn, Unpack

from databuild.errors import (
    CoordinationError,
    EventLogError,
    ExecutorError,
    InvalidStateTransitionError,
    JobConfigurationError,
)
from databuild.event_log import liveness
from databuild.event_log.open import open_event_log
from databuild.executors.engines import Engines
from databuild.executors.executor import RemoteExecutor
from databuild.executors.local import LocalExecutor
from databuild.executors.registry import ExecutorOptions
from databuild.graph.catalog import Job, JobCatalog, RetryPolicy, WorkerLimits
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.results import Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.continued_builds import ContinuedBuilds
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from tests.support.process_worker import write_worker

LEASE_SECONDS = 0.5
BUILT, FAILED, REFUSED, UNWRITTEN = 0, 2, 3, 4
"""Exit codes of a process: ended as requested, killed, declared dead by others, or without a log to write to."""

KINDS = ("raw", "pair", "clean", "sum")
_SUMS = 8
EVERYTHING = (
    *(f"{kind}/{number}" for kind in ("sum", "pair") for number in range(_SUMS)),
    *(f"{kind}/{number}" for kind in ("raw", "clean") for number in range(_SUMS + 1)),
)
"""All partitions; each build of a round requests some of them."""

_JOB = str(Path(__file__).with_name("job.sh").absolute())
_BY_WORKERS = frozenset({"clean", "pair"})
"""The kinds whose runs are requests to workers, which start the job; those of the others are processes."""


def _catalog(folder: str) -> JobCatalog:
    """Returns the jobs, and writes the program of their workers into a folder."""
    worker = Path(folder, "worker")
    new = Path(folder, f"worker.{os.getpid()}")
    write_worker(new, _JOB)
    new.replace(worker)  # another build may start it now
    return _catalog_of(
        _job(kind)._replace(executable=str(worker), worker=WorkerLimits()) if kind in _BY_WORKERS else _job(kind)
        for kind in KINDS
    )


def catalog_without_workers(env: Mapping[str, str]) -> JobCatalog:
    """Returns the jobs without workers, with the variables of their targets."""
    return _catalog_of(_job(kind)._replace(environment=env) for kind in KINDS)


def _catalog_of(jobs: Iterable[Job]) -> JobCatalog:
    return JobCatalog(graph_label="//:g", jobs={job.label: job for job in jobs})


def _job(kind: str) -> Job:
    return Job(
        label=f"//:{kind}",
        executable=_JOB,
        outputs=(f"{kind}/{{n:int}}",),
        code_digest="1",
        retry=RetryPolicy(retries=int(kind == "raw")),
    )


def build(
    uri: str, name: str, folder: str, requested: tuple[str, ...], pace: float, **options: Unpack[BuildKeywords]
) -> None:
    """Runs a build and exits; the exit code tells how the build ended."""
    _run(uri, name, folder, requested, pace, options, reports=False)


def build_with_reports(
    uri: str, name: str, folder: str, requested: tuple[str, ...], pace: float, **options: Unpack[BuildKeywords]
) -> None:
    """The same with jobs that report where their data is."""
    _run(uri, name, folder, requested, pace, options, reports=True)


def _run(
    uri: str,
    name: str,
    folder: str,
    requested: tuple[str, ...],
    pace: float,
    options: BuildKeywords,
    *,
    reports: bool,
) -> NoReturn:
    said = os.open(f"{folder}/{name}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    request = BuildRequest(build_request_id=name, requested=requested, options=BuildOptions(**options))
    sys.exit(asyncio.run(_build(uri, folder, pace, request, reports=reports)))


async def _build(uri: str, folder: str, pace: float, request: BuildRequest, *, reports: bool) -> int:
    env = {"PATH": "/usr/bin:/bin", "CHAOS_FOLDER": str(folder), "CHAOS_PACE": str(pace)}
    if reports:
        env["CHAOS_REPORTS"] = "1"
    on_engine = bool(request.options.executor)
    engines = Engines([request.options.executor] if on_engine else [], _open_engine)
    executor = LocalExecutor(base_env=env, grace_seconds=0.2, process=liveness.this_process())
    try:
        log = open_event_log(uri)
        context = BuildContext(
            # On an engine, a job has the environment of its target. The workers pass on no reports.
            catalog=catalog_without_workers(env) if on_engine or reports else _catalog(folder),
            event_log=log,
            executor=executor,
            settings=Settings(
                working_directory=str(folder), log_directory=f"{folder}/logs", lease_seconds=LEASE_SECONDS
            ),
            engines=engines,
        )
        continued = ContinuedBuilds(context, announce=lambda text: print(text, file=sys.stderr))
        try:
            result = await run_build(request, context._replace(continue_build=continued if on_engine else None))
        finally:
            await continued.wait()
            await log.close()
            await executor.close()
            await engines.close()
    except (ExecutorError, JobConfigurationError) as error:  # the killed one included
        print(error, file=sys.stderr)
        return FAILED
    except (CoordinationError, InvalidStateTransitionError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    except EventLogError as error:
        print(error, file=sys.stderr)
        return UNWRITTEN
    print(result, file=sys.stderr)
    return BUILT if isinstance(result, Success) else FAILED


def _open_engine(uri: str) -> RemoteExecutor:
    # Imported here, because most rounds need no Dask.
    from databuild.executors.dask.extension import open_executor

    return open_executor(uri, ExecutorOptions(grace_seconds=0.2))
