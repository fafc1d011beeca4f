"""Builds that are cancelled, and builds that wait for admission."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import NoReturn

from databuild.event_log.log import EventLog
from databuild.executors.executor import ProcessResult
from databuild.model.planning import PlanningProgress
from databuild.model.results import Cancelled, Success
from databuild.orchestration.build.admission import ImmediateAdmission
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.v1 import events_pb2 as ev
from tests.support.build_world import RAW, Report, World, config
from tests.support.forwarding_log import ForwardingLog
from tests.support.present import present


async def test_cancelling_ends_what_ran_and_what_did_not(world: World) -> None:
    started = asyncio.Event()

    async def hang(_env: Mapping[str, str], _report: Report) -> ProcessResult:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.executor.runs[RAW] = hang
    building = asyncio.create_task(world.build("b", "clean/1"))
    await started.wait()
    building.cancel()

    assert await building == Cancelled()
    assert world.runs("b") == [("b.1.1", "CANCELLED")]
    assert world.statuses("b") == {"clean/1": "FAILED", "raw/1": "FAILED"}
    assert present(world.log.reader().build("b")).status == "CANCELLED"


class SlowLog(ForwardingLog):
    """An event log that holds back the append of a status until a test releases it."""

    def __init__(self, log: EventLog, status: ev.BuildStatus) -> None:
        super().__init__(log)
        self._status = status
        self.reached = asyncio.Event()
        self.going_on = asyncio.Event()

    def append(self, events: Sequence[ev.BuildEvent]) -> Awaitable[None]:
        if any(event.build_request.status == self._status for event in events):
            return asyncio.ensure_future(self._later(events))
        return self.log.append(events)

    async def _later(self, events: Sequence[ev.BuildEvent]) -> None:
        self.reached.set()
        await self.going_on.wait()
        await self.log.append(events)


async def test_cancelling_while_the_end_is_written_leaves_the_end_as_it_is(world: World) -> None:
    log = world.log
    world.log = slow = SlowLog(log, ev.BUILD_STATUS_COMPLETED)
    building = asyncio.create_task(world.build("b", "raw/1"))
    await slow.reached.wait()
    building.cancel()
    await asyncio.sleep(0)
    building.cancel()
    await asyncio.sleep(0)
    slow.going_on.set()

    assert await building == Success(jobs_completed=1)
    assert present(log.reader().build("b")).status == "COMPLETED"


async def test_cancelling_while_the_request_is_written_cancels_the_build(world: World) -> None:
    class TellingLog(ForwardingLog):
        def append(self, events: Sequence[ev.BuildEvent]) -> Awaitable[None]:
            writing.set()
            return self.log.append(events)

    writing = asyncio.Event()
    log = world.log
    world.log = TellingLog(log)
    building = asyncio.create_task(world.build("b", "raw/1"))
    await writing.wait()
    building.cancel()

    assert await building == Cancelled()
    assert [event.build_request.status for event in log.reader().events("b") if event.HasField("build_request")] == [
        ev.BUILD_STATUS_RECEIVED,
        ev.BUILD_STATUS_CANCELLED,
    ]


async def test_a_request_to_cancel_is_found_in_the_event_log(world: World) -> None:
    async def hang(_env: Mapping[str, str], _report: Report) -> ProcessResult:
        request = ev.BuildEvent(event_id="c/1", build_request_id="c", sequence=1)
        request.cancel_request.target_build_request_id = "b"
        request.cancel_request.author = "ann"
        await world.log.append([request])
        await asyncio.Event().wait()
        raise AssertionError

    world.settings = world.settings._replace(cancel_poll_seconds=0)
    world.executor.runs[RAW] = hang

    assert await world.build("b", "raw/1") == Cancelled(author="ann")
    assert "cancelled by ann" in present(present(world.log.reader().build("b")).failure).message
    assert world.log.reader().events("b")[-1].build_request.cancelled_by == "ann"


async def test_a_build_waits_for_its_turn_once_its_request_is_recorded(world: World) -> None:
    class Admission(ImmediateAdmission):
        def received(self) -> None:
            waiting = world.log.reader().build("b")
            assert waiting is not None
            calls.append((waiting.status, waiting.requested))

        async def admit(self) -> str:
            calls.append(list(world.executor.ran))
            return ""

    calls: list[object] = []

    assert await run_build(
        BuildRequest(build_request_id="b", requested=("raw/1",)),
        BuildContext(
            catalog=world.catalog,
            event_log=world.log,
            executor=world.executor,
            settings=world.settings,
            admission=Admission(),
        ),
    ) == Success(jobs_completed=1)
    assert calls == [("RECEIVED", ("raw/1",)), []]


async def test_a_build_that_is_cancelled_while_it_waits_for_its_turn_says_by_whom(world: World) -> None:
    class Admission(ImmediateAdmission):
        async def admit(self) -> str:
            return "ann"

    result = await run_build(
        BuildRequest(build_request_id="b", requested=("raw/1",)),
        BuildContext(
            catalog=world.catalog,
            event_log=world.log,
            executor=world.executor,
            settings=world.settings,
            admission=Admission(),
        ),
    )

    assert result == Cancelled(author="ann")
    assert world.executor.ran == []
    assert present(present(world.log.reader().build("b")).failure).message == "the build was cancelled by ann"


async def test_a_build_that_is_cancelled_while_it_plans_much_ends_as_cancelled(world: World) -> None:
    world.executor.configs["clean/1"] = config("clean/1", *(f"raw/{number}" for number in range(20_000)))
    planned: list[int] = []

    class Observer:
        def planning(self, progress: PlanningProgress) -> None:
            planned.append(progress.partitions)
            if progress.partitions > 10_000:
                building.cancel("ann")

        def warned(self, _warning: str) -> NoReturn:
            raise AssertionError

    request = BuildRequest(build_request_id="b", requested=("clean/1",))
    context = BuildContext(
        catalog=world.catalog,
        event_log=world.log,
        executor=world.executor,
        settings=world.settings,
        planning=Observer(),
    )
    building = asyncio.ensure_future(run_build(request, context))

    assert await building == Cancelled(author="ann")
    assert max(planned) == 20_001
    assert world.executor.ran == []
    assert "SCHEDULED" not in world.statuses("b").values()
