"""Program that loads one event log and prints its duration as JSON: `log_load.py MODE URI BUILDS TASKS JOB`.

Each measurement is a process of its own. The modes:

    builds     orchestrators in one process, as in the service; jobs end at once, without a process
    jobs       the same with processes that do nothing
    unclaimed  the same as `jobs`, without claims
    single     the raw limit: one prepared insert per transaction
    batched    as many inserts in each transaction as the event log has at most
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from databuild.event_log.coordination import Claim, ClaimRequest
from databuild.event_log.group_commit import MAX_OPERATIONS
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.executors.executor import Capacity, ProcessResult, ProcessSpec
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import BuildOptions
from databuild.model.results import Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings

_LABEL = "//load:job"
_OUTPUTS = ("leaf/{n:int}",)
_PAYLOAD = b"x" * 160
"""The mean size of an event of a build."""


class _InstantExecutor:
    """Starts no process; every job succeeds at once and has no inputs."""

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        del on_report
        await asyncio.sleep(0)
        if spec.argv[1] != "config":
            return ProcessResult(exit_code=0)
        configs = [{"outputs": [{"str": ref}], "args": [ref]} for ref in spec.argv[2:]]
        return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())

    capacity = Capacity(1000, "nothing")

    def command_fault(self, _argv: Sequence[str], _env: Mapping[str, str]) -> str:
        return ""

    def guarded(self, _build_request_id: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def expect_runs(self, slots: int, count: int) -> None:
        pass

    def queue_room(self, _slots: int, _waiting: int) -> int | None:
        return None

    async def kill_orphans(self, _build_request_id: str, _process: str) -> None:
        pass

    async def close(self) -> None:
        pass


class _Unclaimed:
    """An event log that grants every claim without writing it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        granted: asyncio.Future[Sequence[Claim]] = asyncio.get_running_loop().create_future()
        granted.set_result([Claim(1)] * len(requests))
        return granted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


async def _builds(mode: str, uri: str, builds: int, tasks: int, job: str) -> tuple[float, int]:
    """Runs builds in parallel, and returns the duration in seconds and the number of their events."""
    log: Any = open_event_log(uri)
    if mode == "unclaimed":
        log = _Unclaimed(log)
    executor: Any = _InstantExecutor() if mode == "builds" else LocalExecutor(base_env=os.environ)
    catalog = JobCatalog(graph_label="//load:graph", jobs={_LABEL: Job(label=_LABEL, executable=job, outputs=_OUTPUTS)})
    with tempfile.TemporaryDirectory() as logs:
        started = time.perf_counter()
        results = await asyncio.gather(
            *(
                run_build(
                    BuildRequest(
                        build_request_id=f"b{build}",
                        requested=tuple(f"leaf/{build * tasks + n}" for n in range(tasks)),
                        options=BuildOptions(jobs=2),
                    ),
                    BuildContext(
                        catalog=catalog,
                        event_log=log,
                        executor=executor,
                        settings=Settings(working_directory=logs, log_directory=logs),
                    ),
                )
                for build in range(builds)
            )
        )
        seconds = time.perf_counter() - started
    assert results == [Success(jobs_completed=tasks)] * builds
    records = [log.reader().build(f"b{build}") for build in range(builds)]
    await log.close()
    return seconds, sum(record.last_sequence for record in records)


def _rows(count: int) -> list[tuple[str, int, bytes]]:
    return [("raw", sequence, _PAYLOAD) for sequence in range(1, count + 1)]


def _raw_sqlite(path: str, count: int, batch_size: int) -> float:
    asyncio.run(open_event_log(f"sqlite:{path}").close())
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    statement = "INSERT INTO events (build_request_id, sequence, payload) VALUES (?, ?, ?)"
    rows = _rows(count)
    started = time.perf_counter()
    for first in range(0, count, batch_size):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows[first : first + batch_size])
        connection.execute("COMMIT")
    return time.perf_counter() - started


def _raw_postgresql(uri: str, count: int, batch_size: int) -> float:
    import psycopg

    with psycopg.connect(uri, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(
            "CREATE TABLE raw (position BIGSERIAL PRIMARY KEY, build TEXT, sequence BIGINT, payload BYTEA, "
            "UNIQUE (build, sequence))"
        )
        rows = _rows(count)
        statement = (
            "INSERT INTO raw (build, sequence, payload) SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bytea[])"
        )
        started = time.perf_counter()
        for first in range(0, count, batch_size):
            columns = [list(column) for column in zip(*rows[first : first + batch_size], strict=True)]
            connection.execute(statement, columns)
        return time.perf_counter() - started


def main(mode: str, uri: str, builds: int, tasks: int, job: str) -> None:
    if mode in {"builds", "jobs", "unclaimed"}:
        seconds, events = asyncio.run(_builds(mode, uri, builds, tasks, job))
    else:
        batch_size = 1 if mode == "single" else MAX_OPERATIONS
        events = builds * tasks
        scheme, _, path = uri.partition(":")
        raw = _raw_sqlite if scheme == "sqlite" else _raw_postgresql
        seconds = raw(path if scheme == "sqlite" else uri, events, batch_size)
    print(json.dumps({"seconds": seconds, "events": events}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
