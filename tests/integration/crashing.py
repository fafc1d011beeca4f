"""A small build whose process dies at a given point of its writing, for tests of what comes after.

Imports no pytest, so that processes start fast.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from databuild.event_log.coordination import Claim
from databuild.event_log.group_commit import Operation, RenewLease
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.postgresql.log import PostgresqlEventLog
from databuild.event_log.sqlite.log import SqliteEventLog
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog, RetryPolicy
from databuild.model.build_options import BuildOptions
from databuild.model.results import BuildResult
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from tests.support.fake_executor import NoProcesses

DIED = 9
NOT_REACHED = 0
REQUESTED = ("sum/1", "sum/2")
MADE_TOGETHER = (("raw/1",), ("raw/2",), ("clean/1",), ("clean/2",), ("sum/1", "sum/2"))
"""The outputs of each task. `clean` needs `raw`, and `sum` needs all outputs of `clean`."""

_PATTERNS = {"raw": "raw/{n:int}", "clean": "clean/{n:int}", "sum": "sum/{n:int}"}
CATALOG = JobCatalog(
    graph_label="//:g",
    jobs={
        f"//:{name}": Job(
            label=f"//:{name}",
            executable=f"//:{name}",
            outputs=(pattern,),
            code_digest="1",
            retry=RetryPolicy(retries=1),
        )
        for name, pattern in _PATTERNS.items()
    },
)


class Executor(NoProcesses):
    """Notes each output in a file; the first attempt at `clean/1` fails, and the first at `sum` fails half-way."""

    def __init__(self, folder: Path) -> None:
        self.made = Path(folder) / "made"

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        await asyncio.sleep(0)
        _, command, *refs = spec.argv
        if command == "config":
            configs = [json.loads(text) for text in dict.fromkeys(json.dumps(_config(ref)) for ref in refs)]
            return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())
        fails = refs[0] in {"clean/1", "sum/1"} and spec.env["DATABUILD_ATTEMPT"] == "1"
        if fails and refs[0] == "sum/1":
            assert on_report is not None
            on_report(json.dumps({"partition": {"ref": "sum/1"}}).encode())
        if not fails:
            with self.made.open("a", encoding="utf-8") as file:
                file.write(f"{spec.env['DATABUILD_BUILD_REQUEST_ID']} {refs[0]}\n")
        return ProcessResult(exit_code=int(fails))

    def made_by(self, build: str) -> list[str]:
        """Returns the first output of each completed task."""
        lines = self.made.read_text(encoding="utf-8").splitlines() if self.made.exists() else []
        return [ref for name, ref in map(str.split, lines) if name == build]


def _config(ref: str) -> dict[str, object]:
    kind, number = ref.split("/")
    outputs = ["sum/1", "sum/2"] if kind == "sum" else [ref]
    inputs = {"raw": [], "clean": [f"raw/{number}"], "sum": ["clean/1", "clean/2"]}[kind]
    return {
        "outputs": [{"str": one} for one in outputs],
        "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": one}} for one in inputs],
        "args": [outputs[0]],
    }


async def build(log: EventLog, name: str, folder: Path) -> BuildResult:
    """Builds everything."""
    return await run_build(
        BuildRequest(build_request_id=name, requested=REQUESTED, options=BuildOptions(jobs=2)),
        BuildContext(
            catalog=CATALOG,
            event_log=log,
            executor=Executor(folder),
            settings=Settings(working_directory="/", log_directory=str(folder)),
        ),
    )


class _DyingStore:
    """Writes each operation in its own transaction, and dies before, in or after one of them."""

    def __init__(self, writer: Any, point: int, moment: str) -> None:
        self.count = 0
        self._writer = writer
        self._point = point
        self._moment = moment

    def write(self, operations: Sequence[Operation]) -> list[Exception | Sequence[Claim] | None]:
        results: list[Exception | Sequence[Claim] | None] = []
        together: list[Operation] = []
        for operation in operations:
            together.append(operation)
            if not isinstance(operation, RenewLease) or operation is operations[-1]:
                results += self._write(together)
                together = []
        return results

    def _write(self, operations: Sequence[Operation]) -> Sequence[Exception | Sequence[Claim] | None]:
        self.count += 1
        here = self.count == self._point
        if here and self._moment == "before":
            os._exit(DIED)
        if here and self._moment == "in":
            self._writer._connection = _DyingConnection(self._writer._connection)
        results: Sequence[Exception | Sequence[Claim] | None] = self._writer.write(operations)
        if here:
            os._exit(DIED if self._moment == "after" else 1)
        return results


class _DyingConnection:
    """Dies after all writes, before the commit."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any, **options: Any) -> Any:
        if statement == "COMMIT":
            os._exit(DIED)
        return self._connection.execute(statement, *values, **options)


def build_and_die(uri: str, name: str, folder: Path, point: int, moment: str) -> None:
    """Builds everything in a process that dies; it exits with NOT_REACHED if the build ends before the point."""

    async def main() -> None:
        log = open_event_log(uri)
        assert isinstance(log, SqliteEventLog | PostgresqlEventLog)
        log._commit._store = _DyingStore(log._writer, point, moment)
        await build(log, name, folder)
        await log.close()

    asyncio.run(main())
    os._exit(NOT_REACHED)
