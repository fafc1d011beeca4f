"""An engine in memory, and executors that hand runs to it. The engine outlives its executors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from databuild.errors import ExecutorError
from databuild.executors.executor import (
    Capabilities,
    Capacity,
    Placement,
    ProcessResult,
    ProcessSpec,
    UnconfirmedCancellationError,
)

URI = "dask://engine:1"


@dataclass
class EngineRun:
    """One run of the engine.

    Attributes:
        spec: The process.
        end: The result, once it is there.
        reports: The lines that it has reported.
        cancelled: True once it was cancelled.
    """

    spec: ProcessSpec
    end: asyncio.Future[ProcessResult] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    reports: list[bytes] = field(default_factory=list)
    cancelled: bool = False


class FakeEngine:
    """Runs end when a test says so, or at once if `results` has something for their job.

    Attributes:
        runs: All runs, by id.
        results: Results of the next runs, by label of their job.
        submitted: The ids of runs in the order of their submission.
        machines: The number of runs at once.
    """

    def __init__(self) -> None:
        self.runs: dict[str, EngineRun] = {}
        self.results: dict[str, list[ProcessResult]] = {}
        self.submitted: list[str] = []
        self.machines = 100
        self.fault = ""
        self.confirms = True
        self.names_runs = True
        self._changed = asyncio.Event()

    def submit(self, spec: ProcessSpec) -> EngineRun:
        self.submitted.append(spec.run_id)
        run = self.runs[spec.run_id] = EngineRun(spec)
        results = self.results.get(spec.env["DATABUILD_JOB_LABEL"], [])
        if results:
            run.end.set_result(results.pop(0))
        self._changed.set()
        return run

    async def reached(self, run_id: str) -> EngineRun:
        """Waits until a run was submitted."""
        while run_id not in self.runs:
            self._changed.clear()
            await self._changed.wait()
        return self.runs[run_id]

    def end(self, run_id: str, exit_code: int = 0) -> None:
        self.runs[run_id].end.set_result(ProcessResult(exit_code=exit_code, machine="m1", queued_seconds=0.5))


class FakeRemoteExecutor:
    """An executor of a `FakeEngine`."""

    uri = URI
    capabilities = Capabilities(
        ships_code=True, survives_client=True, live_logs=True, hard_cancel=True, may_run_twice=True
    )

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.connected = self.closed = self.left = False

    @property
    def capacity(self) -> Capacity:
        return Capacity(self.engine.machines, "a test")

    def command_fault(self, _argv: Sequence[str], _env: Mapping[str, str]) -> str:
        return ""

    async def connect(self) -> None:
        if self.engine.fault:
            raise ExecutorError(self.uri, self.engine.fault)
        self.connected = True

    async def run(
        self,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        assert self.connected
        run = self.engine.submit(spec)
        assert on_placement is not None
        on_placement(Placement(handle=f"handle of {spec.run_id}"))
        return await self._follow(run, on_report, on_placement)

    async def resume(
        self,
        handle: str,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        run = self.engine.runs.get(spec.run_id) if handle or self.engine.names_runs else None
        if run is None:
            return ProcessResult(exit_code=-1, lost="the engine does not know the run")
        assert handle in {"", f"handle of {spec.run_id}"}
        return await self._follow(run, on_report, on_placement)

    async def _follow(
        self,
        run: EngineRun,
        on_report: Callable[[bytes], None] | None,
        on_placement: Callable[[Placement], None] | None,
    ) -> ProcessResult:
        assert on_report is not None
        assert on_placement is not None
        on_placement(Placement(machine="m1", queued_seconds=0.5))
        try:
            result = await asyncio.shield(run.end)
        except asyncio.CancelledError:
            if not (self.left or run.spec.is_detached()):
                run.cancelled = True
                if not self.engine.confirms:
                    raise UnconfirmedCancellationError from None
            raise
        for line in run.reports:
            on_report(line)
        return result

    def leave(self) -> None:
        self.left = True

    async def close(self) -> None:
        self.closed = True
