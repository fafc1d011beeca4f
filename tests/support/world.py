"""A service over its own event log, whose jobs are functions that may wait at a gate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.orchestration.build.settings import Settings
from databuild.service.builds.requests import Submission
from databuild.service.graph.graph_service import GraphService
from databuild.service.resources.limits import Limits
from databuild.v1.events_pb2 import BuildEvent
from tests.support.fake_executor import Gate, NoProcesses
from tests.support.fake_liveness import FakeLiveness

RAW, CLEAN = "//:raw", "//:clean"


class LimitOptions(TypedDict, total=False):
    """The limits of a service that tests set."""

    max_builds: int
    max_queued_builds: int
    max_partitions: int
    max_request_bytes: int
    max_search_candidates: int
    max_downstream_partitions: int
    answer_timeout_seconds: float
    send_timeout_seconds: float


class WorldOptions(LimitOptions, total=False):
    """The keyword arguments of `World`."""

    catalog: JobCatalog | None
    process: str
    gone: Iterable[str]
    cancel_poll_seconds: float


class MakeWorld(Protocol):
    """A fixture that makes worlds and closes them after the test."""

    def __call__(self, uri: str = "memory:", **options: Unpack[WorldOptions]) -> World: ...


def catalog(default_partitions: tuple[str, ...] = ()) -> JobCatalog:
    jobs = {
        label: Job(label=label, executable=label, outputs=(pattern,), code_digest="1")
        for label, pattern in ((RAW, "raw/{n:/.+/}"), (CLEAN, "clean/{n:/.+/}"), ("//:day", "day/{d:date}"))
    }
    return JobCatalog(graph_label="//:g", jobs=jobs, default_partitions=default_partitions)


class FakeExecutor(NoProcesses):
    """Remembers the produced refs, in order; a ref may have a gate or fail."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.gates: dict[str, Gate] = {}
        self.failing: set[str] = set()
        self.ended: list[str] = []
        self.refused: set[str] = set()
        self.broken: set[str] = set()
        self.hangs = False
        self.queried: dict[str, Sequence[str]] = {}
        self.configs_cancelled = 0

    async def kill_orphans(self, build_request_id: str, process: str) -> None:
        self.ended.append(build_request_id)

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        await asyncio.sleep(0)
        refs = spec.argv[2:]
        if spec.argv[1] == "config":
            if self.hangs:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.configs_cancelled += 1
            if self.broken.intersection(refs):
                raise ZeroDivisionError("secret")
            if self.refused.intersection(refs):
                return ProcessResult(exit_code=1, stderr=b"no such thing\n")
            configs = [config(ref, *self.queried.get(ref, ())) for ref in refs]
            return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())
        self.made += refs
        for path, text in ((spec.stdout, "made"), (spec.stderr, "warned of")):
            Path(path).write_text("".join(f"{text} {ref}\n" for ref in refs))
        for ref in refs:
            if ref in self.gates:
                return await self.gates[ref].pass_through()
        return ProcessResult(exit_code=7 if self.failing.intersection(refs) else 0)

    def gate(self, ref: str) -> Gate:
        self.gates[ref] = Gate()
        return self.gates[ref]


def config(ref: str, *queried: str) -> dict[str, object]:
    inputs = [{"dep_type_code": "QUERY", "partition_ref": {"str": one}} for one in queried]
    if ref.startswith("clean/"):
        inputs += [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": ref.replace("clean/", "raw/", 1)}}]
    return {"outputs": [{"str": ref}], "inputs": inputs, "args": [ref], "env": {}}


class World:
    """A service and its parts."""

    def __init__(
        self,
        folder: Path,
        uri: str = "memory:",
        *,
        catalog: JobCatalog | None = None,
        process: str = "service",
        gone: Iterable[str] = (),
        cancel_poll_seconds: float = 0.5,
        **limits: Unpack[LimitOptions],
    ) -> None:
        self.liveness = FakeLiveness(process, gone)
        self.log = open_event_log(uri)
        self.executor = FakeExecutor()
        self.settings = Settings(
            working_directory="/", log_directory=str(folder), cancel_poll_seconds=cancel_poll_seconds
        )
        self.seen: list[BuildEvent] = []
        self.service = GraphService(
            catalog=catalog or globals()["catalog"](default_partitions=("raw/1",)),
            event_log=self.log,
            make_executor=lambda: self.executor,
            settings=self.settings,
            limits=Limits(**limits),
            on_event=self.seen.append,
            liveness=self.liveness,
        )
        self.builds = self.service.builds

    async def ended(self, build: str) -> list[BuildEvent]:
        """Waits for the end of a build and returns its events."""
        return [event async for events in self.builds.watch(build) for event in events]

    async def close(self) -> None:
        for gate in self.executor.gates.values():
            gate.open()
        await self.service.close()


def submission(*partitions: str, build_request_id: str = "", **options: Unpack[BuildKeywords]) -> Submission:
    return Submission(partitions=partitions, build_request_id=build_request_id, options=BuildOptions(**options))
