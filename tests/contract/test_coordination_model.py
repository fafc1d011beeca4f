"""Several orchestrators over one event log agree with a simple model in any order of steps."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from databuild.errors import CoordinationError, InvalidStateTransitionError, RemovalRefusedError
from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner, Need
from databuild.event_log.open import open_event_log
from databuild.event_log.verify import verify
from databuild.executors.executor import ProcessExecutor
from databuild.model.lifecycle import BuildState
from databuild.model.results import Cancelled, Failed, Success
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.contract.coordination_model import Build, Candidates, Model
from tests.support.fake_executor import NoProcesses
from tests.support.present import present
from tests.support.stores import PostgresqlDatabases, SqliteFiles

REFS = ("p", "q", "r", "s")
LEASE = 30.0
MAX_BUILDS = 4
JOB = "//:j"
REMOVALS = (pt.PARTITION_STATUS_FORGOTTEN, pt.PARTITION_STATUS_DELETED)
SLOT = (Need("slot", 1, 1),)
WHY = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no")
LOST = pt.Failure(category=pt.FAILURE_CATEGORY_LOST, message="lost: the engine has forgotten it")
ENGINE = "dask://host:8786"
LATE = (CoordinationError, InvalidStateTransitionError)

any_of_them = st.integers(0, 30)
some_ref = st.sampled_from(REFS)
some_refs = st.lists(some_ref, min_size=1, unique=True)
either_process = st.integers(0, 1)


def rule_for(
    candidates: Callable[[Any], Sequence[Any]], **arguments: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a rule that draws one of these; it applies while there are any."""

    def decorate(do: Callable[..., None]) -> Callable[..., None]:
        def chosen(self: World, number: int, **values: Any) -> None:
            found = candidates(self)
            one = found[number % len(found)]
            do(self, *(one if isinstance(one, tuple) else (one,)), **values)

        chosen.__name__ = do.__name__
        made = cast("Callable[..., Any]", rule)(number=any_of_them, **arguments)(chosen)
        guarded: Callable[..., None] = precondition(lambda self: bool(candidates(self)))(made)
        return guarded

    return decorate


_T = TypeVar("_T")


class World(Candidates, RuleBasedStateMachine):
    """Two processes, each with its own builds, beside the model of their log."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.now = 1000.0
        self.names = (f"b{number:03}" for number in itertools.count())
        self.successors = itertools.count(2)
        self.model = Model()
        self.orchestrators: dict[str, BuildOrchestrator] = {}
        self.home: dict[str, int] = {}
        first = open_event_log(uri, clock=self.clock)
        # A log in memory belongs to one process.
        self.logs = [first, first if uri == "memory:" else open_event_log(uri, clock=self.clock)]
        self.reader = first.reader()

    def clock(self) -> float:
        return self.now

    def run(self, awaitable: Callable[[], Awaitable[_T]]) -> _T:
        async def main() -> _T:
            return await awaitable()

        return self.loop.run(main())

    @precondition(lambda self: len(self.open_builds()) < MAX_BUILDS)
    @rule(process=either_process, refs=some_refs)
    def begin(self, process: int, refs: list[str]) -> None:
        name = next(self.names)
        log = self.logs[process]

        async def begin() -> BuildOrchestrator:
            log.renew_lease(name, "elsewhere/1/1", LEASE)
            one = BuildOrchestrator(log, name, refs, clock=self.clock)
            one.start_build(graph_label="//:g")
            one.start_planning()
            for number, ref in enumerate(refs, 1):
                one.emit_partition_scheduled(ref, number, pt.REASON_MISSING)
            one.emit_job_graph([])
            one.complete_planning()
            await one.start_execution()
            return one

        self.orchestrators[name] = self.run(begin)
        self.home[name] = process
        self.model.begin(name, refs, self.now + LEASE)

    @rule_for(Candidates.scheduled, slot=st.booleans())
    def claim(self, build: Build, ref: str, slot: bool) -> None:
        self.answer(build, ref, self.run(lambda: self.ask(build, ref, slot)), slot)

    async def ask(self, build: Build, ref: str, slot: bool) -> Claim:
        needs = SLOT if slot else ()
        (answer,) = await self.orchestrators[build.name].claim(
            [ClaimRequest(build.name, build.run_of(ref), (ref,), needs)]
        )
        return answer

    def answer(self, build: Build, ref: str, answer: Claim, slot: bool) -> None:
        """Compares the answer to a claim with the model, and updates the model."""
        holders = self.model.holders(build, [ref])
        if holders:
            assert (answer.token, answer.held_by) == (0, holders)
        elif answer.token:
            record = self.model.records[ref]
            assert answer.versions == ({ref: record.version} if record.available else {})
            self.model.claim(build, ref, answer.token, slot)
        else:
            assert slot
            assert answer.short_of == "slot"

    @rule_for(Candidates.wanted_by_two)
    def two_claim_at_once(self, first: Build, second: Build, ref: str) -> None:
        builds = (first, second)

        async def both() -> list[Claim]:
            return await asyncio.gather(*(self.ask(build, ref, slot=False) for build in builds))

        answers = self.run(both)
        for build, answer in sorted(zip(builds, answers, strict=True), key=lambda pair: not pair[1].token):
            self.answer(build, ref, answer, slot=False)
        for build in builds:  # so that the next steps do not depend on the order of the processes
            self.give_up(build)

    @rule_for(Candidates.untold)
    def schedule(self, build: Build, ref: str) -> None:
        one, run, task = self.orchestrators[build.name], build.run_of(ref), build.task_of(ref)
        self.run(lambda: one.emit_job_scheduled(run, task, JOB, build.attempts[ref]))
        self.model.schedule(build, ref)

    @rule_for(Candidates.claimed)
    def start(self, build: Build, ref: str) -> None:
        self.run(lambda: self.emit_start(build, ref))
        self.model.start(build, ref)

    async def emit_start(self, build: Build, ref: str) -> None:
        one, run, task = self.orchestrators[build.name], build.run_of(ref), build.task_of(ref)
        if run not in self.model.told_of:
            one.emit_job_scheduled(run, task, JOB, build.attempts[ref])
        one.emit_job_running(run, task, JOB, build.attempts[ref])
        await one.emit_partition_building(ref, task, run)

    @rule_for(Candidates.scheduled, slot=st.booleans())
    def claim_and_start(self, build: Build, ref: str, slot: bool) -> None:
        self.answer(build, ref, self.run(lambda: self.ask(build, ref, slot)), slot)
        if (build, ref) in self.claimed():
            self.run(lambda: self.emit_start(build, ref))
            self.model.start(build, ref)

    @rule_for(Candidates.scheduled)
    def make(self, build: Build, ref: str) -> None:
        self.answer(build, ref, self.run(lambda: self.ask(build, ref, slot=False)), slot=False)
        if (build, ref) in self.claimed():
            self.run(lambda: self.emit_start(build, ref))
            self.run(lambda: self.emit_finish(build, ref))
            self.model.start(build, ref)
            self.model.finish(build, ref)

    @rule_for(Candidates.building)
    def finish(self, build: Build, ref: str) -> None:
        self.run(lambda: self.emit_finish(build, ref))
        self.model.finish(build, ref)

    async def emit_finish(self, build: Build, ref: str) -> None:
        one, run, task = self.orchestrators[build.name], build.run_of(ref), build.task_of(ref)
        one.emit_job_completed(run, task, JOB, build.attempts[ref])
        await one.emit_partition_available(ref, task, run, run)

    @rule_for(Candidates.building, started=st.booleans())
    def place(self, build: Build, ref: str, started: bool) -> None:
        self.run(lambda: self.emit_place(build, ref, started))

    async def emit_place(self, build: Build, ref: str, started: bool) -> None:
        one, run = self.orchestrators[build.name], build.run_of(ref)
        if started:
            one.emit_start(run, machine="m", queued_seconds=1.0)
        else:
            one.emit_placement(run, executor=ENGINE, handle=f"handle of {run}")
        await one.emit()

    @rule_for(Candidates.building, process=either_process)
    def continue_elsewhere(self, build: Build, ref: str, process: int) -> None:
        """Another process takes the build over and attaches to a run; the old orchestrator can write nothing more."""
        old, log = self.orchestrators[build.name], self.logs[process]
        (holder,) = (
            lease.holder
            for lease, _ in self.reader.leases(self.reader.holders())
            if lease.build_request_id == build.name
        )
        state = BuildState(build.name)
        state.advance(self.reader.events(build.name))
        successor = f"elsewhere/{next(self.successors)}/1"

        async def go_on() -> None:
            await log.renew_lease(build.name, successor, LEASE, LeaseOwner("", holder))
            await self.emit_place(build, ref, started=True)

        self.orchestrators[build.name] = BuildOrchestrator(
            log, build.name, tuple(build.statuses), clock=self.clock, state=state
        )
        self.home[build.name] = process
        self.run(go_on)
        build.expires = self.now + LEASE

        for late in (
            lambda: log.renew_lease(build.name, holder, LEASE, LeaseOwner("")),
            lambda: old.emit_job_completed(build.run_of(ref), build.task_of(ref), JOB, build.attempts[ref]),
        ):
            with pytest.raises(LATE):
                self.run(late)

    @rule_for(Candidates.building, again=st.booleans(), why=st.sampled_from((WHY, LOST)))
    def fail(self, build: Build, ref: str, again: bool, why: pt.Failure) -> None:
        async def fail() -> None:
            one, run, task = self.orchestrators[build.name], build.run_of(ref), build.task_of(ref)
            one.emit_job_failed(run, task, JOB, why, build.attempts[ref])
            if again:
                await one.emit_partition_scheduled(ref, task, pt.REASON_FAILED_BEFORE, run)
            else:
                await one.emit_partition_failed(ref, why, task, run)

        self.run(fail)
        (self.model.try_again if again else self.model.fail)(build, ref)

    @rule_for(Candidates.claimed)
    def skip(self, build: Build, ref: str) -> None:
        async def skip() -> None:
            one, task = self.orchestrators[build.name], build.task_of(ref)
            one.emit(("job", job_event(build.run_of(ref), task, JOB, ev.JOB_STATUS_SKIPPED)))
            await one.emit_partition_failed(ref, WHY, task)

        self.run(skip)
        self.model.fail(build, ref)

    @rule_for(Candidates.held_by_others)
    def delegate(self, build: Build, ref: str) -> None:
        other = self.model.holders(build, [ref])[ref]
        self.run(lambda: self.orchestrators[build.name].emit_delegation(other, JOB, [ref], running=True))
        self.model.delegate(build, ref)

    @rule_for(Candidates.delegated)
    def take_over(self, build: Build, ref: str) -> None:
        one, task = self.orchestrators[build.name], build.task_of(ref)
        self.run(lambda: one.emit_partition_scheduled(ref, task, pt.REASON_FAILED_BEFORE))
        self.model.take_over(build, ref)

    @rule_for(Candidates.without_more_to_do)
    def complete(self, build: Build) -> None:
        failed = "FAILED" in build.statuses.values()
        result, end = (Failed(message="no"), "FAILED") if failed else (Success(), "COMPLETED")
        self.run(lambda: self.orchestrators[build.name].complete_build(result))
        self.model.close(build, end)

    @precondition(lambda self: len(self.open_builds()) == MAX_BUILDS)
    @rule(number=any_of_them)
    def cancel(self, number: int) -> None:
        self.give_up(self.open_builds()[number % len(self.open_builds())])

    def give_up(self, build: Build) -> None:
        self.run(lambda: self.orchestrators[build.name].complete_build(Cancelled()))
        self.model.close(build, "CANCELLED")

    @rule_for(Candidates.open_builds)
    def renew(self, build: Build) -> None:
        self.stay_alive(build)

    def stay_alive(self, build: Build) -> None:
        self.run(lambda: self.logs[self.home[build.name]].renew_lease(build.name, "elsewhere/1/1", LEASE))
        build.expires = self.now + LEASE

    @rule(seconds=st.sampled_from((1.0, 10.0, 20.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule_for(Candidates.claimed, process=either_process)
    def die_before_a_start(self, build: Build, ref: str, process: int) -> None:
        self.now = build.expires + 1.0
        for other in self.open_builds():
            if other is not build:
                self.stay_alive(other)
        self.end_dead_builds(process)

    @precondition(lambda self: bool(self.expired()))
    @rule(process=either_process)
    def end_dead_builds(self, process: int) -> None:
        dead = self.expired()
        assert self.run(lambda: self.coordination(process).end_dead_builds()) == [build.name for build in dead]
        for build in dead:
            self.model.close(build, "DEAD", self.model.in_doubt(build.name))

    @precondition(lambda self: bool(self.expired()))
    @rule()
    def both_end_the_dead(self) -> None:
        async def both() -> None:
            await asyncio.gather(*(self.coordination(process).end_dead_builds() for process in (0, 1)))

        dead = self.expired()
        self.run(both)
        for build in dead:
            self.model.close(build, "DEAD", self.model.in_doubt(build.name))

    @rule_for(Candidates.building_too_long, process=either_process)
    def finish_while_the_dead_are_ended(self, build: Build, ref: str, process: int) -> None:
        dead = self.expired()

        async def both() -> object:
            finished, _ = await asyncio.gather(
                self.emit_finish(build, ref), self.coordination(process).end_dead_builds(), return_exceptions=True
            )
            return finished

        finished = self.run(both)
        assert finished is None or isinstance(finished, LATE)
        if finished is None:
            self.model.finish(build, ref)
        for one in dead:
            if present(self.reader.build(one.name)).status == "FAILED":
                self.model.close(one, "DEAD", self.model.in_doubt(one.name))
            else:
                assert one is build
                assert finished is None
        if self.expired():  # so that the next steps do not depend on the order of the processes
            self.end_dead_builds(process)

    @rule_for(Candidates.dead_builds)
    def come_back_from_the_dead(self, build: Build) -> None:
        ref = next(iter(build.statuses))
        one, log = self.orchestrators[build.name], self.logs[self.home[build.name]]
        before = len(self.reader.events(build.name))

        for late in (
            lambda: log.renew_lease(build.name, "elsewhere/1/1", LEASE),
            lambda: self.ask(build, ref, slot=True),
            lambda: one.complete_build(Cancelled()),
            lambda: one.emit(("check", ev.CheckEvent(job_run_id=build.run_of(ref)))),
        ):
            with pytest.raises(LATE):
                self.run(late)
        assert len(self.reader.events(build.name)) == before

    @rule(ref=some_ref, tainted=st.booleans(), process=either_process)
    def taint(self, ref: str, tainted: bool, process: int) -> None:
        name = f"t{next(self.names)}"
        event = ev.TaintEvent(tainted=tainted, author="ann", partitions=[pt.PartitionRef(str=ref)])
        operation = ev.BuildEvent(event_id=f"{name}/1", build_request_id=name, sequence=1, taint=event)
        self.run(lambda: self.logs[process].append([operation]))
        if ref in self.model.records:
            self.model.records[ref].tainted = tainted

    @rule(refs=some_refs, kind=st.sampled_from(REMOVALS), current=st.booleans(), process=either_process)
    def remove(self, refs: list[str], kind: pt.PartitionStatus, current: bool, process: int) -> None:
        event = self.removal(refs, kind, current)
        if claimed := self.model.claims.keys() & set(refs):
            with pytest.raises(RemovalRefusedError) as caught:
                self.run(lambda: self.logs[process].append([event]))
            assert caught.value.faults.keys() == claimed
            assert self.reader.events(event.build_request_id) == []
        else:
            self.run(lambda: self.logs[process].append([event]))
            self.removed(refs, event, current)

    @rule_for(Candidates.scheduled, kind=st.sampled_from(REMOVALS), process=either_process)
    def claim_while_it_is_removed(self, build: Build, ref: str, kind: pt.PartitionStatus, process: int) -> None:
        event = self.removal([ref], kind, True)

        async def both() -> tuple[Claim, object]:
            answer, refused = await asyncio.gather(
                self.ask(build, ref, slot=False), self.logs[process].append([event]), return_exceptions=True
            )
            if isinstance(answer, BaseException):
                raise answer
            return answer, refused

        was_claimed = ref in self.model.claims
        answer, refused = self.run(both)
        if refused is None:
            assert not was_claimed
            if answer.token and answer.versions:  # claimed after the removal, which left no version to see
                raise AssertionError(answer)
            self.removed([ref], event, True)
        else:
            assert isinstance(refused, RemovalRefusedError)
        self.answer(build, ref, answer, slot=False)
        if not build.end:  # so that the next steps do not depend on the order of the processes
            self.give_up(build)

    def removal(self, refs: Sequence[str], kind: pt.PartitionStatus, current: bool) -> ev.BuildEvent:
        """Returns the event of a removal of the recorded versions, or of others."""
        name = f"r{next(self.names)}"
        event = ev.BuildEvent(event_id=f"{name}/1", build_request_id=name, sequence=1)
        event.removal.kind, event.removal.author = kind, "ann"
        for ref in refs:
            version = self.model.records[ref].version if ref in self.model.records else ""
            event.removal.partitions.add(ref=ref, version=(current and version) or "another version")
        return event

    def removed(self, refs: Sequence[str], event: ev.BuildEvent, current: bool) -> None:
        """Updates the model after a removal."""
        if current:
            status = pt.PartitionStatus.Name(event.removal.kind).removeprefix("PARTITION_STATUS_")
            self.model.remove(refs, status, event.build_request_id)

    def coordination(self, process: int) -> Coordination:
        log = self.logs[process]
        return Coordination(
            log, self.reader, cast("ProcessExecutor", NoProcesses()), "nobody", clock=self.clock, lease_seconds=LEASE
        )

    @invariant()
    def the_log_says_what_the_model_says(self) -> None:
        found = self.reader.partition_records(REFS)
        assert {
            ref: (one.status, one.build_request_id, one.available, one.version, one.tainted)
            for ref, one in found.items()
        } == {
            ref: (one.status, one.build, one.available and ref not in self.model.claims, one.version, one.tainted)
            for ref, one in self.model.records.items()
        }
        assert self.reader.claimed(REFS) == {ref: build for ref, (build, _) in self.model.claims.items()}
        alive = {one.name: one.expires for one in self.model.builds.values() if not one.end}
        assert {
            lease.build_request_id: lease.expires for lease, _ in self.reader.leases(self.reader.holders())
        } == alive
        slots = {one.build_request_id for one in self.reader.resource_use() if one.amount}
        assert slots == set(self.model.slots.values())

    def teardown(self) -> None:
        try:
            assert verify(self.reader).reported == ()
        finally:
            self.reader.close()
            for log in self.logs:
                with contextlib.suppress(Exception):
                    self.loop.run(log.close())
            self.loop.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def new_log(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[int, Callable[[], str]]:
    """Returns how many logs to try, and a function that makes the URI of an empty one."""
    if request.param == "memory":
        return 100, lambda: "memory:"
    if request.param == "sqlite":
        numbers = itertools.count()
        return 30, lambda: SqliteFiles(tmp_path / str(next(numbers))).uri
    database = PostgresqlDatabases(request.getfixturevalue("server"))

    def empty() -> str:
        database.execute("DROP SCHEMA IF EXISTS databuild CASCADE")
        return database.uri

    return 10, empty


def test_builds_that_share_a_log_agree_with_the_model(new_log: tuple[int, Callable[[], str]]) -> None:
    examples, uri = new_log

    class WorldOverNewLog(World):
        def __init__(self) -> None:
            super().__init__(uri())

    run_state_machine_as_test(
        WorldOverNewLog,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # shrinking a failure takes longer than the time limit of the test
            suppress_health_check=list(HealthCheck),
        ),
    )
