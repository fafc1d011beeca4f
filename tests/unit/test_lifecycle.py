"""The state machine of a build, driven directly and at random."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidStateTransitionError
from databuild.model import lifecycle
from databuild.model.lifecycle import BuildState
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

Payload: TypeAlias = Mapping[str, Any]
"""The payload of an event, by the name of its field."""


def event(sequence: int, build: str = "b", **payload: Any) -> ev.BuildEvent:
    return ev.BuildEvent(event_id=f"{build}/{sequence}", build_request_id=build, sequence=sequence, **payload)


def status(value: ev.BuildStatus | str) -> Payload:
    return {"build_request": ev.BuildRequestEvent(status=value)}


def partition(value: pt.PartitionStatus, ref: str = "p", run: str = "") -> Payload:
    return {"partition": ev.PartitionEvent(ref=ref, status=value, job_run_id=run)}


def job(value: ev.JobStatus, run: str = "b.1.1") -> Payload:
    return {"job": ev.JobEvent(job_run_id=run, task_id=1, status=value)}


SUCCESS: list[Payload] = [
    status(ev.BUILD_STATUS_RECEIVED),
    partition(pt.PARTITION_STATUS_REQUESTED),
    status(ev.BUILD_STATUS_PLANNING),
    partition(pt.PARTITION_STATUS_SCHEDULED),
    {"job_graph": ev.JobGraphEvent()},
    status(ev.BUILD_STATUS_ANALYSIS_COMPLETED),
    status(ev.BUILD_STATUS_EXECUTING),
    job(ev.JOB_STATUS_SCHEDULED),
    job(ev.JOB_STATUS_RUNNING),
    partition(pt.PARTITION_STATUS_BUILDING, run="b.1.1"),
    {"placement": ev.PlacementEvent(job_run_id="b.1.1")},
    {"check": ev.CheckEvent(job_run_id="b.1.1")},
    job(ev.JOB_STATUS_COMPLETED),
    partition(pt.PARTITION_STATUS_AVAILABLE, run="b.1.1"),
    status(ev.BUILD_STATUS_COMPLETED),
]


def numbered(payloads: Iterable[Payload]) -> list[ev.BuildEvent]:
    return [event(number, **payload) for number, payload in enumerate(payloads, 1)]


def snapshot(state: BuildState) -> tuple[object, ...]:
    return (
        state.status,
        state.last_sequence,
        dict(state.jobs),
        dict(state.partitions),
        state.open_jobs(),
        state.open_partitions(),
    )


def test_a_successful_build_is_legal() -> None:
    state = BuildState("b")

    state.advance(numbered(SUCCESS))

    assert state.ended
    assert state.last_sequence == len(SUCCESS)


@pytest.mark.parametrize("left_out", [i for i in range(len(SUCCESS) - 1) if i not in {1, 4, 10, 11}])
def test_a_build_with_a_step_left_out_is_illegal(left_out: int) -> None:
    payloads = SUCCESS[:left_out] + SUCCESS[left_out + 1 :]

    with pytest.raises(InvalidStateTransitionError):
        BuildState("b").advance(numbered(payloads))


def test_a_step_out_of_order_writes_nothing() -> None:
    state = BuildState("b")
    state.advance(numbered(SUCCESS[:6]))
    before = snapshot(state)

    with pytest.raises(InvalidStateTransitionError, match="cannot follow"):
        state.advance(
            [
                event(7, **SUCCESS[6]),
                event(8, **SUCCESS[7]),
                event(9, **partition(pt.PARTITION_STATUS_SCHEDULED, ref="q")),
                event(10, **partition(pt.PARTITION_STATUS_AVAILABLE)),
            ]
        )

    assert snapshot(state) == before


def test_nothing_follows_the_terminal_event() -> None:
    state = BuildState("b")
    state.advance(numbered(SUCCESS))

    for payload in SUCCESS:
        with pytest.raises(InvalidStateTransitionError):
            state.advance([event(len(SUCCESS) + 1, **payload)])


def test_a_gap_or_a_repeat_in_the_sequence_is_refused() -> None:
    for sequence in (0, 1, 3):
        state = BuildState("b")
        state.advance(numbered(SUCCESS[:1]))
        with pytest.raises(InvalidStateTransitionError):
            state.advance([event(sequence, **SUCCESS[2])])


@pytest.mark.parametrize("kind", ["check", "placement"])
def test_only_a_running_job_run_has_checks_and_placements(kind: str) -> None:
    message = {"check": ev.CheckEvent, "placement": ev.PlacementEvent}[kind](job_run_id="b.1.1")
    state = BuildState("b")
    state.advance(numbered(SUCCESS[:8]))

    with pytest.raises(InvalidStateTransitionError, match=f"a {kind} of job run 'b.1.1', which is not running"):
        state.advance([event(9, **{kind: message})])


def test_an_event_of_another_build_is_refused() -> None:
    with pytest.raises(InvalidStateTransitionError):
        BuildState("b").advance([event(1, build="c", **SUCCESS[0])])


def test_a_build_cannot_complete_with_a_failed_partition() -> None:
    payloads = [
        *SUCCESS[:7],
        partition(pt.PARTITION_STATUS_FAILED),
        status(ev.BUILD_STATUS_COMPLETED),
    ]

    with pytest.raises(InvalidStateTransitionError, match="FAILED"):
        BuildState("b").advance(numbered(payloads))


def test_a_build_cannot_end_with_something_open() -> None:
    for payloads in (SUCCESS[:4], SUCCESS[:10]):
        with pytest.raises(InvalidStateTransitionError, match="has not ended"):
            BuildState("b").advance(numbered([*payloads, status(ev.BUILD_STATUS_FAILED)]))


def test_an_operation_is_the_only_event_of_its_id() -> None:
    state = BuildState("t")
    state.advance([event(1, build="t", taint=ev.TaintEvent(tainted=True))])

    with pytest.raises(InvalidStateTransitionError):
        state.advance([event(2, build="t", taint=ev.TaintEvent())])
    assert state.ended


def test_a_state_from_records_continues_where_it_was() -> None:
    state = BuildState("b")
    state.advance(numbered(SUCCESS[:10]))
    again = BuildState(
        "b",
        status=state.status,
        last_sequence=10,
        jobs=state.jobs.items(),
        partitions=state.partitions.items(),
    )

    again.advance(numbered(SUCCESS)[10:])

    assert again.ended


def test_every_status_has_a_row_in_its_table() -> None:
    assert set(lifecycle.BUILD_TRANSITIONS) == set(ev.BuildStatus.values())
    assert set(lifecycle.JOB_TRANSITIONS) == set(ev.JobStatus.values())
    assert set(lifecycle.PARTITION_TRANSITIONS) | lifecycle.REMOVALS == set(pt.PartitionStatus.values())
    assert lifecycle.REMOVALS.isdisjoint(lifecycle.PARTITION_TRANSITIONS)
    assert set(lifecycle.JOB_STAGES) == set(ev.JobStatus.values()) - {0}
    assert set(lifecycle.PARTITION_STAGES) | lifecycle.REMOVALS == set(pt.PartitionStatus.values()) - {0}


def test_a_removal_of_an_unknown_kind_is_refused() -> None:
    removal = ev.RemovalEvent(kind=pt.PARTITION_STATUS_AVAILABLE)
    state = BuildState("b")
    with pytest.raises(InvalidStateTransitionError, match="a removal of the kind 4"):
        state.advance(numbered([{"removal": removal}]))

    assert not state.ended


ANY_PAYLOAD = st.one_of(
    st.sampled_from(ev.BuildStatus.keys()).map(status),
    st.builds(
        partition,
        st.sampled_from(pt.PartitionStatus.values()[1:]),
        st.sampled_from(["p", "q"]),
        st.sampled_from(["b.1.1", "b.2.1", ""]),
    ),
    st.builds(job, st.sampled_from(ev.JobStatus.values()[1:]), st.sampled_from(["b.1.1", "b.2.1"])),
    st.sampled_from(SUCCESS),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(ANY_PAYLOAD, max_size=40))
def test_no_sequence_of_events_can_leave_an_illegal_log(payloads: list[Payload]) -> None:
    state = BuildState("b")
    log = []
    for payload in payloads:
        try:
            state.advance([event(state.last_sequence + 1, **payload)])
        except InvalidStateTransitionError:
            continue
        log.append(payload)

    statuses = [p["build_request"].status for p in log if "build_request" in p]
    assert not log or log[0] == SUCCESS[0]
    ends = [s for s in statuses if s in lifecycle.BUILD_ENDS]
    assert len(ends) <= 1
    if ends:
        assert log[-1]["build_request"].status == ends[0]
        assert not state.open_jobs()
        assert not state.open_partitions()
    replayed = BuildState("b")
    replayed.advance(numbered(log))
    assert snapshot(replayed) == snapshot(state)
