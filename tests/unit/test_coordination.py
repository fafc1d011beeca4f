"""Several builds over one event log: delegation, and the end of dead builds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from databuild.errors import CoordinationError
from databuild.event_log.coordination import ClaimRequest, LeaseOwner, Need
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.results import BuildResult, Cancelled, FailFast, Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.fake_executor import Gate, NoProcesses
from tests.support.forwarding_log import ForwardingLog
from tests.support.present import present
from tests.support.waiting import turns, turns_until

RAW, CLEAN, PAIR = "//:raw", "//:clean", "//:pair"
CATALOG = JobCatalog(
    graph_label="//:g",
    jobs={
        label: Job(label=label, executable=label, outputs=(pattern,), code_digest="1")
        for label, pattern in ((RAW, "raw/{n:int}"), (CLEAN, "clean/{n:int}"), (PAIR, "pair/{n:int}"))
    },
)


class FakeExecutor(NoProcesses):
    """Remembers the produced refs and their builds; a ref may have a gate."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []
        self.gates: dict[str, Gate] = {}
        self.ended: list[str] = []
        self.tokens: list[int] = []
        self.before_config: Callable[[], Awaitable[None]] | None = None
        self.on_start: Callable[[ProcessSpec], object] = lambda _spec: None
        self.running = self.most_running = 0
        self.turns = 1

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        await asyncio.sleep(0)
        _, command, *refs = spec.argv
        if command == "config":
            if self.before_config is not None:
                await self.before_config()
            return ProcessResult(exit_code=0, stdout=json.dumps({"configs": self.configs(refs)}).encode())
        self.on_start(spec)
        self.made.append((spec.env["DATABUILD_BUILD_REQUEST_ID"], refs[0]))
        self.tokens.append(int(spec.env["DATABUILD_FENCING_TOKEN"]))
        gate = self.gates.pop(refs[0], None)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await turns(self.turns)
            return await gate.pass_through() if gate is not None else ProcessResult(exit_code=0)
        finally:
            self.running -= 1

    def count_running(self) -> Callable[[], int]:
        """Lets runs take many turns of the event loop, and returns a function for their maximum concurrency."""
        self.turns = 100
        return lambda: self.most_running

    async def kill_orphans(self, build_request_id: str, process: str) -> None:
        self.ended.append(build_request_id)

    @staticmethod
    def configs(refs: Sequence[str]) -> list[dict[str, object]]:
        made = []
        for ref in refs:
            kind, number = ref.split("/")
            outputs = [ref, f"pair/{int(number) ^ 1}"] if kind == "pair" else [ref]
            needed = [f"raw/{number}"] if kind == "clean" else []
            made.append(
                {
                    "outputs": [{"str": one} for one in sorted(outputs)],
                    "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": one}} for one in needed],
                    "args": [min(outputs)],
                }
            )
        return [json.loads(text) for text in dict.fromkeys(map(json.dumps, made))]


class PausableLog(ForwardingLog):
    """An event log that holds back renewals of leases while it is paused."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self.going_on = asyncio.Event()
        self.going_on.set()

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        return asyncio.ensure_future(self._renew_lease(build_request_id, holder, seconds, owner))

    async def _renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> None:
        await self.going_on.wait()
        await self.log.renew_lease(build_request_id, holder, seconds, owner)


class World:
    """One event log that several builds share."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = 1000.0
        self.catalog = CATALOG
        self.log = open_event_log("memory:", clock=lambda: self.now)
        self.executor = FakeExecutor()
        self.settings = Settings(working_directory="/", log_directory=str(tmp_path), claim_poll_seconds=0)
        self.reader = self.log.reader()

    def gate(self, ref: str) -> Gate:
        self.executor.gates[ref] = gate = Gate()
        return gate

    def start(
        self, build: str, *refs: str, log: EventLog | None = None, **options: Unpack[BuildKeywords]
    ) -> asyncio.Task[BuildResult]:
        return asyncio.create_task(self.build(build, *refs, log=log, **options))

    async def build(
        self, build: str, *refs: str, log: EventLog | None = None, **options: Unpack[BuildKeywords]
    ) -> BuildResult:
        keywords: BuildKeywords = {"jobs": 1, **options}
        return await run_build(
            BuildRequest(build_request_id=build, requested=refs, options=BuildOptions(**keywords)),
            BuildContext(
                catalog=self.catalog, event_log=log or self.log, executor=self.executor, settings=self.settings
            ),
        )

    async def delegated(self, build: str) -> list[tuple[str, list[str]]]:
        """Waits until a build has left partitions to a running build, and returns them."""

        def found() -> list[tuple[str, list[str]]]:
            delegations = [event.delegation for event in self.reader.events(build) if event.HasField("delegation")]
            return [
                (delegation.delegated_to_build_request_id, [ref.str for ref in delegation.partitions])
                for delegation in delegations
                if delegation.running
            ]

        return await turns_until(found)

    def statuses(self, build: str) -> dict[str, str]:
        return {one.ref: one.status for one in self.reader.build_partitions(build)}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    made.reader.close()
    await made.log.close()


async def test_partitions_in_production_elsewhere_are_awaited_and_used(world: World) -> None:
    gate = world.gate("raw/1")
    one = world.start("one", "raw/1")
    await gate.reached.wait()
    two = world.start("two", "clean/1")

    assert await world.delegated("two") == [("one", ["raw/1"])]
    gate.open()

    assert await one == Success(jobs_completed=1)
    assert await two == Success(jobs_completed=1)
    assert world.executor.made == [("one", "raw/1"), ("two", "clean/1")]
    assert world.statuses("two") == {"clean/1": "AVAILABLE", "raw/1": "DELEGATED"}
    reasons = {one.ref: (one.reason, one.cause) for one in world.reader.build_partitions("two")}
    assert reasons == {"raw/1": ("BUILDING_ELSEWHERE", "one"), "clean/1": ("MISSING", "")}
    assert world.reader.claimed(["raw/1", "clean/1"]) == {}


async def test_partitions_that_another_build_fails_to_produce_are_taken_over(world: World) -> None:
    gate = world.gate("raw/1")
    one = world.start("one", "raw/1")
    await gate.reached.wait()
    two = world.start("two", "raw/1")
    await world.delegated("two")
    gate.open(exit_code=1)

    assert await one == FailFast(trigger_job=RAW)
    assert await two == Success(jobs_completed=1)
    assert world.executor.made == [("one", "raw/1"), ("two", "raw/1")]
    assert world.executor.tokens == sorted(set(world.executor.tokens))


async def test_partitions_of_a_cancelled_build_are_taken_over(world: World) -> None:
    gate = world.gate("raw/1")
    one = world.start("one", "raw/1")
    await gate.reached.wait()
    two = world.start("two", "raw/1")
    await world.delegated("two")
    one.cancel()

    assert await one == Cancelled()
    assert await two == Success(jobs_completed=1)


async def test_a_build_that_waits_works_on_what_is_free(world: World) -> None:
    gate = world.gate("raw/1")
    one = world.start("one", "raw/1")
    await gate.reached.wait()
    two = world.start("two", "raw/1", "raw/2")
    await world.delegated("two")
    await turns_until(lambda: ("two", "raw/2") in world.executor.made)
    gate.open()

    assert [await one, await two] == [Success(jobs_completed=1), Success(jobs_completed=1)]


async def test_a_task_of_which_another_build_produces_one_output_waits_for_it(world: World) -> None:
    gate = world.gate("pair/0")
    one = world.start("one", "pair/0")
    await gate.reached.wait()
    two = world.start("two", "pair/1")
    await world.delegated("two")
    gate.open()

    assert [await one, await two] == [Success(jobs_completed=1), Success(jobs_completed=0)]
    assert world.executor.made == [("one", "pair/0")]


async def test_a_task_whose_outputs_another_build_makes_while_this_one_is_planned_is_not_run_again(
    world: World,
) -> None:
    gate = world.gate("pair/0")
    one = world.start("one", "pair/0")
    await gate.reached.wait()

    async def between_the_looks_at_one_output_and_the_other() -> None:
        gate.open()
        await one

    world.executor.before_config = between_the_looks_at_one_output_and_the_other

    assert await world.build("two", "pair/0") == Success(jobs_completed=0)
    assert world.executor.made == [("one", "pair/0")]


async def test_builds_that_want_each_others_partitions_in_opposite_order_do_not_wait_for_ever(world: World) -> None:
    first, second = world.gate("raw/1"), world.gate("raw/2")
    one = world.start("one", "raw/1", "clean/2")
    await first.reached.wait()
    two = world.start("two", "raw/2", "clean/1")
    second_reached = asyncio.create_task(second.reached.wait())
    await asyncio.wait({second_reached, one, two}, return_when=asyncio.FIRST_COMPLETED)
    first.open()
    second.open()

    results = [await one, await two]

    assert all(isinstance(result, Success) for result in results)
    made = [ref for _, ref in world.executor.made]
    assert sorted(made) == sorted(set(made)) == ["clean/1", "clean/2", "raw/1", "raw/2"]


async def test_many_builds_of_the_same_partitions_make_each_once(world: World) -> None:
    refs = [f"clean/{number}" for number in range(20)]

    results = await asyncio.gather(*(world.build(f"b{number}", *refs, jobs=3) for number in range(5)))

    assert all(isinstance(result, Success) for result in results)
    made = [ref for _, ref in world.executor.made]
    assert len(made) == len(set(made)) == 40


class CatalogLimits(TypedDict, total=False):
    """The limits of a graph."""

    resources: Mapping[str, int]
    max_running_jobs: int


def limited(**limits: Unpack[CatalogLimits]) -> JobCatalog:
    """Returns the graph with limits, of which each run of raw takes one."""
    raw = CATALOG.jobs[RAW]._replace(resources=dict.fromkeys(limits.get("resources", ()), 1))
    return CATALOG._replace(jobs={**CATALOG.jobs, RAW: raw}, **limits)


@pytest.mark.parametrize("limits", [{"resources": {"memory": 3}}, {"max_running_jobs": 3}])
async def test_limits_hold_across_builds(world: World, limits: CatalogLimits) -> None:
    world.catalog = limited(**limits)
    most = world.executor.count_running()

    results = await asyncio.gather(
        *(world.build(f"b{build}", *(f"raw/{build + 1}{task}" for task in range(9)), jobs=3) for build in range(3))
    )

    assert all(result == Success(jobs_completed=9) for result in results)
    assert most() == 3
    assert world.reader.resource_use() == []


async def test_a_small_request_gets_its_turn_beside_a_large_one(world: World) -> None:
    world.catalog = limited(max_running_jobs=1)
    gate = world.gate("raw/0")
    large = world.start("large", *(f"raw/{number}" for number in range(50)), jobs=4)
    await gate.reached.wait()
    small = world.start("small", "raw/100")
    await turns_until(
        lambda: any(use.build_request_id == "small" and use.waiting for use in world.reader.resource_use())
    )
    gate.open()

    assert await small == Success(jobs_completed=1)
    assert not large.done()
    assert await large == Success(jobs_completed=50)


async def test_resources_of_a_dead_build_are_released(world: World) -> None:
    world.catalog = limited(resources={"memory": 1})
    dead = await dead_build(world, "elsewhere/1/1")
    await dead.claim([ClaimRequest("dead", "dead.3.1", ("raw/3",), (Need("memory of //:g", 1, 1),))])
    two = world.start("two", "raw/9")
    await turns_until(lambda: any(use.build_request_id == "two" for use in world.reader.resource_use()))
    world.now += 31

    assert await two == Success(jobs_completed=1)


async def dead_build(world: World, holder: str) -> BuildOrchestrator:
    """Leaves a build that was producing raw/1 and had claimed raw/2."""
    one = BuildOrchestrator(world.log, "dead", ["raw/1", "raw/2", "raw/3"])
    world.log.renew_lease("dead", holder, 30)
    one.start_build()
    one.start_planning()
    for number in (1, 2, 3):
        one.emit_partition_scheduled(f"raw/{number}", number, pt.REASON_MISSING)
    one.complete_planning()
    await one.start_execution()
    await one.claim([ClaimRequest("dead", "dead.1.1", ("raw/1",)), ClaimRequest("dead", "dead.2.1", ("raw/2",))])
    one.emit_job_scheduled("dead.1.1", 1, RAW)
    one.emit_job_running("dead.1.1", 1, RAW)
    await one.emit_partition_building("raw/1", 1, "dead.1.1")
    return one


async def test_a_build_that_died_before_its_request_was_recorded_loses_its_lease_and_is_not_reported(
    world: World,
) -> None:
    await world.log.renew_lease("unborn", "elsewhere:1", 30)
    await dead_build(world, "elsewhere:1")
    world.now += 31

    coordination = Coordination(world.log, world.reader, world.executor, "", clock=lambda: world.now, lease_seconds=0)
    assert await coordination.end_dead_builds() == ["dead"]
    assert world.reader.holders() == {}


async def test_a_build_whose_process_is_gone_is_ended_at_once_and_gone_on_from(world: World) -> None:
    from databuild.event_log import liveness

    here, pid, _ = liveness.this_process().split("/")
    await dead_build(world, f"{here}/{pid}/1")

    assert await world.build("next", "raw/1", "raw/2") == Success(jobs_completed=2)

    dead = world.reader.build("dead")
    assert dead is not None
    assert (dead.status, present(dead.failure).category) == ("FAILED", "INFRASTRUCTURE")
    assert "its orchestrator has died" in present(dead.failure).message
    assert world.statuses("dead") == dict.fromkeys(["raw/1", "raw/2", "raw/3"], "FAILED")
    assert [run.status for run in world.reader.job_runs("dead")] == ["CANCELLED"]
    assert world.executor.ended == ["dead"]


async def test_unchanged_claims_of_a_dead_build_stay_available(world: World) -> None:
    await world.build("before", "raw/2", "raw/3")
    dead = await dead_build(world, "elsewhere/1/1")
    await dead.claim([ClaimRequest("dead", "dead.3.1", ("raw/3",))])
    await dead.emit_job_scheduled("dead.3.1", 3, RAW)
    world.now += 31

    assert await world.build("next", "raw/2", "raw/3") == Success(jobs_completed=1)
    assert world.executor.made[2:] == [("next", "raw/3")]


async def test_a_job_run_that_changes_what_is_there_starts_once_the_log_knows_it(world: World) -> None:
    await world.build("before", "raw/1", "raw/2")
    known = []
    world.executor.on_start = lambda spec: known.append(world.reader.job_run(spec.env["DATABUILD_JOB_RUN_ID"]))

    assert await world.build("again", "raw/1", "raw/2", force=True) == Success(jobs_completed=2)
    assert None not in known


async def test_a_build_elsewhere_is_ended_once_its_lease_has_run_out(world: World) -> None:
    await dead_build(world, "elsewhere/1/1")
    two = world.start("two", "raw/1")
    await world.delegated("two")
    world.now += 31

    assert await two == Success(jobs_completed=1)
    assert "has not renewed its lease" in present(present(world.reader.build("dead")).failure).message
    assert world.executor.ended == []


async def test_a_build_that_was_taken_for_dead_is_refused_when_it_comes_back(world: World) -> None:
    late = await dead_build(world, "elsewhere/1/1")
    world.now += 31
    await world.build("two", "raw/1")

    with pytest.raises(CoordinationError, match="it is FAILED"):
        await world.log.renew_lease("dead", "elsewhere/1/1", 30)
    with pytest.raises(CoordinationError, match="its lease has ended"):
        await late.claim([ClaimRequest("dead", "dead.3.1", ("raw/3",))])


async def test_a_result_that_comes_too_late_is_recorded_and_not_applied(world: World) -> None:
    gate = world.gate("raw/1")
    one = world.start("one", "raw/1")
    await gate.reached.wait()
    await world.log.renew_lease("one", "elsewhere/1/1", 30)
    world.now += 31
    await world.build("two", "raw/1")
    version = world.reader.partition_records(["raw/1"])["raw/1"].version
    gate.open()

    with pytest.raises(CoordinationError, match="build one cannot continue: it is FAILED"):
        await one

    assert present(world.reader.build("one")).status == "FAILED"
    assert world.reader.partition_records(["raw/1"])["raw/1"].version == version == "two.1.1"
    (late,) = [event.late_result for _, event in world.reader.all_events() if event.HasField("late_result")]
    assert late.target_build_request_id == "one"
    assert [(run.job_run_id, run.status) for run in late.job_runs] == [("one.1.1", ev.JOB_STATUS_COMPLETED)]
    assert [ref.str for ref in late.partitions] == ["raw/1"]


async def test_an_orchestrator_that_was_taken_for_dead_stops_its_jobs_and_says_so(world: World) -> None:
    world.settings = world.settings._replace(lease_seconds=1e-6)
    gate = world.gate("raw/1")
    log = PausableLog(world.log)
    one = world.start("one", "raw/1", log=log)
    await gate.reached.wait()
    log.going_on.clear()
    await world.log.renew_lease("other", "elsewhere/1/1", 1)  # written after what was renewed before the pause
    world.now += 31
    await world.build("two", "raw/2")
    log.going_on.set()

    with pytest.raises(CoordinationError, match="build one cannot continue"):
        await one
    assert present(world.reader.build("one")).status == "FAILED"
