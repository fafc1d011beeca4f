"""The processes of the race: builds of jobs that only note their runs, and sleep if a test requests it.

Imports no pytest, so that processes start fast.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import BuildOptions
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from tests.support.fake_executor import NoProcesses
from tests.support.waiting import turns_until

LABEL = "//:raw"
CATALOG = JobCatalog(
    graph_label="//:g",
    jobs={LABEL: Job(label=LABEL, executable=LABEL, outputs=("raw/{n:int}",), code_digest="1")},
)


class Executor(NoProcesses):
    """Notes each run in a file, in the form of the job of the chaos tests."""

    def __init__(self, notes: Path, seconds: float) -> None:
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seconds = seconds

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        _, command, *refs = spec.argv
        if command == "config":
            configs = [{"outputs": [{"str": ref}], "inputs": [], "args": [ref]} for ref in refs]
            return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())
        self._note("start", spec.env, refs)
        await asyncio.sleep(self._seconds)
        self._note("end", spec.env, refs)
        return ProcessResult(exit_code=0)

    def _note(self, what: str, env: Mapping[str, str], refs: Sequence[str]) -> None:
        line = f"{what} {env['DATABUILD_FENCING_TOKEN']} {env['DATABUILD_JOB_RUN_ID']} {' '.join(refs)}\n"
        os.write(self._notes, line.encode())


def race(uri: str, name: str, folder: str, requested: tuple[str, ...], seconds: float) -> None:
    """Builds as soon as the file `go` exists; `seconds` is the duration of each job run."""

    async def main() -> None:
        log = open_event_log(uri)
        Path(folder, f"{name}.ready").touch()
        await turns_until(Path(folder, "go").exists)  # all at once, for a race
        await run_build(
            BuildRequest(build_request_id=name, requested=requested, options=BuildOptions(jobs=8)),
            BuildContext(
                catalog=CATALOG,
                event_log=log,
                executor=Executor(Path(folder, "notes"), seconds),
                settings=Settings(working_directory="/", log_directory=str(folder)),
            ),
        )
        await log.close()

    asyncio.run(main())
