"""An event log in memory and jobs that are functions, for tests of `run_build`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, Unpack

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog, RetryPolicy
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.job_graph import Plan
from databuild.model.records import PartitionRecord
from databuild.model.results import BuildResult
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.v1 import events_pb2 as ev
from tests.support.fake_executor import NoProcesses

if TYPE_CHECKING:
    from databuild.orchestration.jobs.past_configs import BuildEvents

DONE = ProcessResult(exit_code=0, duration_seconds=1.0, cpu_seconds=0.5, peak_memory_bytes=1000)
RAW, CLEAN = "//:raw", "//:clean"
NO_RETRIES = RetryPolicy()

Config: TypeAlias = dict[str, object]
"""One configuration, as `config` of a job prints it."""

Report: TypeAlias = Callable[[Mapping[str, object]], None]
"""Receives one line of the report of a job run."""

Run: TypeAlias = Callable[[Mapping[str, str], Report], ProcessResult | Awaitable[ProcessResult]]
"""A job run: a function of the environment of its process."""


def config(output: str | Sequence[str], *inputs: str, args: Sequence[str] = ()) -> Config:
    needed = [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": ref}} for ref in inputs]
    outputs = [{"str": ref} for ref in ([output] if isinstance(output, str) else output)]
    return {"outputs": outputs, "inputs": needed, "args": list(args)}


def _complete(_env: Mapping[str, str], _report: Report) -> ProcessResult:
    return DONE


class FakeExecutor(NoProcesses):
    """Runs functions in place of processes, and remembers their job runs.

    `configs` answers for a ref, `runs` for a job label: a function of the environment and the report function.
    `lookup` is the answer of the lookup. `checks` answers the calls of `check`, which `checked` remembers with their
    job labels and environments.
    """

    def __init__(self, **runs: Run) -> None:
        self.ran: list[tuple[str, str]] = []
        self.configs: dict[str, Config] = {}
        self.answer: ProcessResult | None = None
        self.lookup: dict[str, str] = {}
        self.checks: Callable[[Sequence[str]], ProcessResult | Awaitable[ProcessResult]] = lambda _: DONE
        self.checked: list[tuple[str, str, tuple[str, ...]]] = []
        self.runs = {f"//:{name}": run for name, run in runs.items()}

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        await asyncio.sleep(0)
        if "DATABUILD_JOB_LABEL" not in spec.env:
            return ProcessResult(exit_code=0, stdout=json.dumps(self.lookup).encode())
        label = spec.env["DATABUILD_JOB_LABEL"]
        if spec.argv[1:2] == ("config",):
            if self.answer is not None:
                return self.answer
            configs = [self.configs.get(ref) or self.usual(ref) for ref in spec.argv[2:]]
            return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())
        if spec.argv[1:2] == ("check",):
            refs = tuple(spec.argv[2:])
            self.checked.append((label, spec.env["DATABUILD_ENVIRONMENT"], refs))
            answer = self.checks(refs)
            return answer if isinstance(answer, ProcessResult) else await answer
        self.ran.append((label, spec.env["DATABUILD_ATTEMPT"]))
        assert on_report is not None
        result = self.runs.get(label, _complete)(spec.env, lambda line: on_report(json.dumps(line).encode()))
        return result if isinstance(result, ProcessResult) else await result

    @staticmethod
    def usual(ref: str) -> Config:
        return config(ref, ref.replace("clean", "raw")) if ref.startswith("clean") else config(ref)


def jobs(
    *,
    retry: RetryPolicy = NO_RETRIES,
    timeout_seconds: float | None = None,
    code_digests: Mapping[str, str] = MappingProxyType({}),
    check: bool = False,
) -> JobCatalog:
    return JobCatalog(
        graph_label="//:g",
        jobs={
            label: Job(
                label=label,
                executable=label,
                outputs=(pattern,),
                code_digest=code_digests.get(label, digest),
                retry=retry,
                timeout_seconds=timeout_seconds,
                check=check,
            )
            for label, pattern, digest in ((RAW, "raw/{n:int}", "r"), (CLEAN, "clean/{n:int}", "c"))
        },
    )


class World:
    """One event log, one executor, one folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.log: EventLog = open_event_log("memory:")
        self.executor = FakeExecutor()
        self.catalog = jobs()
        self.settings = Settings(working_directory="/", log_directory=str(tmp_path))

    async def build(
        self, build: str, *refs: str, plan: Plan | None = None, **options: Unpack[BuildKeywords]
    ) -> BuildResult:
        keywords: BuildKeywords = {"jobs": 1, **options}
        build_options = BuildOptions(**keywords)
        return await run_build(
            BuildRequest(build_request_id=build, requested=refs, options=build_options, plan=plan),
            BuildContext(catalog=self.catalog, event_log=self.log, executor=self.executor, settings=self.settings),
        )

    async def plan(self, *refs: str, past: BuildEvents | None = None) -> Plan:
        return await make_plan(
            refs,
            catalog=self.catalog,
            reader=self.log.reader(),
            executor=self.executor,
            settings=self.settings,
            past=past,
        )

    def records(self, *refs: str) -> Mapping[str, PartitionRecord]:
        return self.log.reader().partition_records(refs)

    def runs(self, build: str) -> list[tuple[str, str]]:
        return [(run.job_run_id, run.status) for run in self.log.reader().job_runs(build)]

    def statuses(self, build: str) -> dict[str, str]:
        return {one.ref: one.status for one in self.log.reader().build_partitions(build)}


class AtExecution:
    """Calls a function when the plan of a build is in the log and nothing has run yet."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def notify(self, events: Sequence[ev.BuildEvent]) -> None:
        if any(event.build_request.status == ev.BUILD_STATUS_EXECUTING for event in events):
            self._act()

    def close(self) -> None:
        pass


def number_of(world: World, env: Mapping[str, str]) -> str:
    """Returns the number of the partition of a job run, from its task."""
    build, task, _ = env["DATABUILD_JOB_RUN_ID"].rsplit(".", 2)
    for event in world.log.reader().events(build):
        for one in event.job_graph.tasks:
            if one.task_id == int(task):
                return one.config.outputs[0].str.partition("/")[2]
    raise AssertionError(env)


def warnings_of(world: World, build: str) -> list[list[str]]:
    return [
        list(event.build_request.warnings) for event in world.log.reader().events(build) if event.build_request.status
    ]
