"""Processes that run builds on one engine over one event log, and may die: a world for tests of `run_build`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Unpack

import pytest

from databuild.errors import EventLogError
from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.verify import verify
from databuild.executors.engines import Engines
from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import RetryPolicy
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.results import BuildResult
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.continued_builds import ContinuedBuilds
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.v1 import events_pb2 as ev
from tests.support.build_world import FakeExecutor, jobs
from tests.support.fake_engine import URI, FakeEngine, FakeRemoteExecutor
from tests.support.forwarding_log import ForwardingLog

LOST = ProcessResult(exit_code=-1, lost="it restarted")
DONE = ProcessResult(exit_code=0, machine="m2", queued_seconds=2.0)


class MortalLog(ForwardingLog):
    """The event log as one process sees it, which writes nothing any more once it is dead."""

    dead = False

    def append(self, events: Sequence[ev.BuildEvent]) -> Awaitable[None]:
        self._check()
        return super().append(events)

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        self._check()
        return super().claim(requests)

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        self._check()
        return super().renew_lease(build_request_id, holder, seconds, owner)

    def remove_lease(self, build_request_id: str, holder: str) -> Awaitable[None]:
        self._check()
        return super().remove_lease(build_request_id, holder)

    def _check(self) -> None:
        if self.dead:
            raise EventLogError("the process is dead")


class Process:
    """A process that runs builds on the engine: the holder of their leases, which may die."""

    def __init__(self, world: World, name: str) -> None:
        self._name = name
        self._dead = world.dead
        self._log = MortalLog(world.log)
        self.executor = FakeRemoteExecutor(world.engine)
        self.local = FakeExecutor()
        self.announced: list[str] = []
        context = BuildContext(
            catalog=world.catalog,
            event_log=self._log,
            executor=self.local,
            settings=world.settings,
            liveness=self,
            engines=Engines([URI], lambda _uri: self.executor),
        )
        self.continued = ContinuedBuilds(context, announce=self.announced.append)
        self.context = context._replace(continue_build=self.continued)

    def this_process(self) -> str:
        return self._name

    def is_gone(self, holder: str) -> bool:
        return holder in self._dead

    def is_here(self, _holder: str) -> bool:
        return True

    async def build(self, build: str, *refs: str, **options: Unpack[BuildKeywords]) -> BuildResult:
        keywords: BuildKeywords = {"executor": URI, **options}
        request = BuildRequest(build_request_id=build, requested=refs, options=BuildOptions(**keywords))
        result = await run_build(request, self.context)
        await self.continued.wait()
        return result

    def start(self, build: str, *refs: str, **options: Unpack[BuildKeywords]) -> asyncio.Task[BuildResult]:
        return asyncio.create_task(self.build(build, *refs, **options))

    async def die(self, running: asyncio.Task[BuildResult]) -> None:
        """Dies while a build runs: records nothing any more, and leaves the engine alone."""
        self.executor.leave()
        self._log.dead = True
        running.cancel()
        with pytest.raises(EventLogError):
            await running
        await self.continued.leave()
        self._dead.add(self._name)


class World:
    """An event log, an engine, and the processes that use them."""

    def __init__(self, tmp_path: Path) -> None:
        self.dead: set[str] = set()
        self.engine = FakeEngine()
        self.catalog = jobs(retry=RetryPolicy(infrastructure_retries=1))
        self.log: EventLog = open_event_log("memory:")
        self.settings = Settings(working_directory="/", log_directory=str(tmp_path), claim_poll_seconds=0)

    def succeed(self, **count: int) -> None:
        """Has the next runs of jobs succeed at once."""
        self.engine.results = {f"//:{name}": [DONE] * number for name, number in count.items()}

    def events(self, build: str) -> Sequence[ev.BuildEvent]:
        reader = self.log.reader()
        events = reader.events(build)
        reader.close()
        return events

    def story(self, job_run: str) -> list[str]:
        """Returns what the events tell of a job run, in order."""
        told = []
        for event in self.events(job_run.split(".", maxsplit=1)[0]):
            if event.job.job_run_id == job_run:
                told.append(ev.JobStatus.Name(event.job.status).removeprefix("JOB_STATUS_"))
            elif event.placement.job_run_id == job_run:
                told.append("started" if event.placement.started else "accepted")
        return told

    def verified(self) -> bool:
        reader = self.log.reader()
        faults = verify(reader).reported
        reader.close()
        return faults == ()
