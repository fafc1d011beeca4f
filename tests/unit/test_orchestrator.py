"""The orchestrator, called step by step over an event log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from databuild.errors import EventLogError, InvalidStateTransitionError
from databuild.event_log.log import EventLog
from databuild.model import lifecycle
from databuild.model.lifecycle import BUILD_ENDS, BuildState
from databuild.model.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.orchestration.events.mock_event_log import MockEventLog
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2
from tests.support.waiting import turns_until


def orchestrator(*refs: str) -> BuildOrchestrator:
    return BuildOrchestrator.with_mock_event_log("b", refs, clock=lambda: 12.5)


def told(one: BuildOrchestrator) -> list[str]:
    """One word per event."""
    words = []
    for event in one.emitted_events:
        kind = event.WhichOneof("event")
        if kind == "build_request":
            words.append(lifecycle.build_status_name(event.build_request.status))
        elif kind == "partition":
            words.append("p:" + lifecycle.partition_status_name(event.partition.status))
        elif kind == "job":
            words.append("j:" + lifecycle.job_status_name(event.job.status))
        else:
            words.append(kind)
    return words


async def up_to_running(one: BuildOrchestrator) -> None:
    await one.start_build()
    await one.start_planning()
    await one.emit_partition_scheduled("p", 1, pt.REASON_MISSING)
    await one.emit_job_graph([plan_pb2.Task(task_id=1, job_label="//:j")], {"//:j": "digest"})
    await one.complete_planning()
    await one.start_execution()
    await one.emit_job_scheduled("b.1.1", 1, "//:j")
    await one.emit_job_running("b.1.1", 1, "//:j")
    await one.emit_partition_building("p", 1, "b.1.1")


async def test_placements_are_written_with_the_next_events() -> None:
    one = orchestrator("p")
    await up_to_running(one)
    before = len(one.emitted_events)
    one.emit_placement("b.1.1", executor="dask://host:1", handle="h")
    one.emit_start("b.1.1", machine="m", queued_seconds=1.0)
    waiting = len(one.emitted_events) - before
    await one.emit_job_completed("b.1.1", 1, "//:j")

    assert waiting == 0
    assert told(one)[before:] == ["placement", "placement", "j:COMPLETED"]


async def test_placements_are_written_without_other_events() -> None:
    one = orchestrator("p")
    await up_to_running(one)
    one.emit_placement("b.1.1", executor="dask://host:1", handle="h")

    await turns_until(lambda: told(one)[-1] == "placement")


async def test_a_successful_build_leaves_the_events_that_the_contract_lists() -> None:
    one = orchestrator("p")

    await up_to_running(one)
    await one.emit_job_completed("b.1.1", 1, "//:j")
    await one.emit_partition_available("p", 1, "b.1.1", metadata={"rows": 3})
    await one.complete_build(Success(jobs_completed=1))

    assert told(one) == [
        "RECEIVED",
        "p:REQUESTED",
        "PLANNING",
        "p:SCHEDULED",
        "job_graph",
        "ANALYSIS_COMPLETED",
        "EXECUTING",
        "j:SCHEDULED",
        "j:RUNNING",
        "p:BUILDING",
        "j:COMPLETED",
        "p:AVAILABLE",
        "COMPLETED",
    ]
    assert [event.sequence for event in one.emitted_events] == list(range(1, 14))
    assert {event.event_id for event in one.emitted_events} == {f"b/{n}" for n in range(1, 14)}
    assert one.emitted_events[0].time.ToMilliseconds() == 12500
    assert one.emitted_events[11].partition.version == "b.1.1"


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        (Cancelled(author="ann"), ev.BUILD_STATUS_CANCELLED, "ann"),
        (FailFast(trigger_job="//:x"), ev.BUILD_STATUS_FAILED, "//:x"),
        (Failed(message="the reason", category=pt.FAILURE_CATEGORY_USER), ev.BUILD_STATUS_FAILED, "the reason"),
    ],
)
async def test_a_build_that_ends_badly_ends_what_is_open_and_says_why(
    result: BuildResult, status: int, said: str
) -> None:
    one = orchestrator("p", "q")
    await up_to_running(one)

    await one.complete_build(result)

    assert one.state.ended
    assert one.emitted_events[-1].build_request.status == status
    assert said in one.emitted_events[-1].build_request.failure.message
    closing = {
        event.partition.ref: event.partition.failure.message
        for event in one.emitted_events
        if event.partition.status == pt.PARTITION_STATUS_FAILED
    }
    assert set(closing) == {"p", "q"}
    assert all(said in message for message in closing.values())
    assert [e.job.status for e in one.emitted_events if e.HasField("job")][-1] == ev.JOB_STATUS_CANCELLED


async def test_a_step_out_of_order_writes_nothing() -> None:
    one = orchestrator("p")
    await one.start_build()
    before = list(one.emitted_events)

    for step in (one.start_execution, one.complete_planning, lambda: one.complete_build(Success())):
        with pytest.raises(InvalidStateTransitionError) as error:
            await step()
        assert error.value.current
        assert error.value.requested

    assert one.emitted_events == before
    await one.start_planning()


async def test_success_is_refused_while_something_is_open() -> None:
    one = orchestrator("p")
    await up_to_running(one)

    with pytest.raises(InvalidStateTransitionError, match="has not ended"):
        await one.complete_build(Success())


async def test_delegation_ends_what_this_build_had_open() -> None:
    one = orchestrator("p")
    await one.start_build()
    await one.start_planning()

    await one.emit_delegation("past", "//:j", ["q", "p"])

    assert told(one)[-2:] == ["delegation", "p:DELEGATED"]
    assert [ref.str for ref in one.emitted_events[-2].delegation.partitions] == ["p", "q"]


async def test_a_large_job_graph_is_written_in_parts() -> None:
    one = orchestrator()
    await one.start_build()
    await one.start_planning()

    await one.emit_job_graph([plan_pb2.Task(task_id=n, job_label="//:j") for n in range(1, 2502)], {"//:j": "d"})

    parts = [event.job_graph for event in one.emitted_events if event.HasField("job_graph")]
    assert [len(part.tasks) for part in parts] == [1000, 1000, 501]
    assert all(part.total_tasks == 2501 and part.code_digests == {"//:j": "d"} for part in parts)


async def test_after_a_write_has_failed_nothing_more_is_written() -> None:
    class Full(MockEventLog):
        async def append(self, events: Sequence[ev.BuildEvent]) -> None:
            if self.events:
                raise EventLogError("the disk is full")
            await super().append(events)

    log = Full()
    one = BuildOrchestrator(log, "b", ["p"])
    await one.start_build()
    with pytest.raises(EventLogError):
        await one.start_planning()

    with pytest.raises(EventLogError, match="full"):
        await one.complete_planning()
    assert len(log.events) == 2


async def test_events_are_written_or_refused_once_they_have_settled() -> None:
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Slow(MockEventLog):
        async def append(self, events: Sequence[ev.BuildEvent]) -> None:
            await answer

    one = BuildOrchestrator(Slow(), "b", ["p"])
    await one.settled()
    one.start_build()
    settled = asyncio.ensure_future(one.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    assert not one.refused_events

    answer.set_exception(EventLogError("the disk is full"))
    await settled
    assert [event.sequence for event in one.refused_events] == [1, 2]


def test_emitted_events_are_kept_by_the_mock_only() -> None:
    class Other(MockEventLog):
        pass

    assert orchestrator().emitted_events == []
    one = BuildOrchestrator(cast("EventLog", object()), "b", [])
    with pytest.raises(TypeError, match="with_mock_event_log"):
        _ = one.emitted_events


async def test_an_observer_is_told_of_every_event() -> None:
    heard: list[ev.BuildEvent] = []
    one = BuildOrchestrator.with_mock_event_log("b", ["p"], on_event=heard.append)

    await up_to_running(one)

    assert heard == one.emitted_events


class AnyCalls(RuleBasedStateMachine):
    """Calls in any order, legal or not: the log is legal at every moment."""

    refs = st.sampled_from(["p", "q", "r"])
    runs = st.sampled_from(["b.1.1", "b.2.1", "b.1.2"])

    def __init__(self) -> None:
        super().__init__()
        self.log: list[ev.BuildEvent] = []
        self.loop = asyncio.new_event_loop()
        self.one = BuildOrchestrator(cast("EventLog", self), "b", ["p"])

    def append(self, events: Sequence[ev.BuildEvent]) -> asyncio.Future[None]:
        self.log.extend(events)
        durable = self.loop.create_future()
        durable.set_result(None)
        return durable

    def teardown(self) -> None:
        self.loop.close()

    def call(self, step: Callable[..., object], *args: object) -> None:
        before = len(self.log)
        try:
            step(*args)
        except InvalidStateTransitionError:
            assert len(self.log) == before

    @rule(name=st.sampled_from(["start_build", "start_planning", "complete_planning", "start_execution"]))
    def step(self, name: str) -> None:
        self.call(getattr(self.one, name))

    @rule(ref=refs, task=st.integers(1, 2))
    def schedule(self, ref: str, task: int) -> None:
        self.call(self.one.emit_partition_scheduled, ref, task, pt.REASON_MISSING)

    @rule(ref=refs, run=runs, name=st.sampled_from(["emit_partition_building", "emit_partition_available"]))
    def partition(self, ref: str, run: str, name: str) -> None:
        self.call(getattr(self.one, name), ref, 1, run)

    @rule(ref=refs)
    def fail(self, ref: str) -> None:
        self.call(self.one.emit_partition_failed, ref, pt.Failure(message="x"))

    @rule(ref=refs)
    def delegate(self, ref: str) -> None:
        self.call(self.one.emit_delegation, "past", "//:j", [ref])

    @rule(run=runs, name=st.sampled_from(["emit_job_scheduled", "emit_job_running", "emit_job_completed"]))
    def job(self, run: str, name: str) -> None:
        self.call(getattr(self.one, name), run, 1, "//:j")

    @rule(run=runs)
    def job_fails(self, run: str) -> None:
        self.call(self.one.emit_job_failed, run, 1, "//:j", pt.Failure(message="x"))

    @rule(result=st.sampled_from([Success(), Failed(), FailFast(trigger_job="//:j"), Cancelled()]))
    def complete(self, result: BuildResult) -> None:
        self.call(self.one.complete_build, result)

    @invariant()
    def the_log_is_legal(self) -> None:
        state = BuildState("b")
        state.advance(self.log)
        assert [event.sequence for event in self.log] == list(range(1, len(self.log) + 1))
        ends = [n for n, event in enumerate(self.log) if event.build_request.status in BUILD_ENDS]
        assert ends in ([], [len(self.log) - 1])


AnyCalls.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestAnyCalls = AnyCalls.TestCase
