"""Every event log keeps events in order, all or none of an append, and notifies of new ones."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from databuild.errors import (
    EventLogError,
    InvalidStateTransitionError,
)
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.verify import verify
from databuild.model.results import Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present
from tests.support.step_builds import begin, produce
from tests.support.waiting import until


async def test_events_come_back_in_order_and_unchanged(log: EventLog) -> None:
    heard: list[ev.BuildEvent] = []
    one = BuildOrchestrator(log, "b", ["p"], on_event=heard.append)
    await one.start_build(graph_label="//:g")
    await one.start_planning()

    assert list(log.reader().events("b")) == heard
    assert [event.sequence for event in log.reader().events("b", after_sequence=1, limit=1)] == [2]
    assert [event for _, event in log.reader().all_events()] == heard
    (first, _), *_ = log.reader().all_events()
    assert [event for _, event in log.reader().all_events(after_position=first)] == heard[1:]


async def test_an_illegal_append_writes_nothing_and_does_not_harm_the_others(log: EventLog) -> None:
    good = BuildOrchestrator(log, "good", ["p"])
    bad = ev.BuildEvent(event_id="bad/1", build_request_id="bad", sequence=1)
    bad.build_request.status = ev.BUILD_STATUS_EXECUTING

    results = await asyncio.gather(good.start_build(), log.append([bad]), return_exceptions=True)

    assert results[0] is None
    assert isinstance(results[1], InvalidStateTransitionError)
    assert not log.reader().events("bad")
    assert present(log.reader().build("good")).status == "RECEIVED"


async def test_two_writers_of_one_build_are_refused(log: EventLog) -> None:
    await BuildOrchestrator(log, "b", ["p"]).start_build()

    with pytest.raises(InvalidStateTransitionError):
        await BuildOrchestrator(log, "b", ["p"]).start_build()
    assert len(log.reader().events("b")) == 2


async def test_a_wait_ends_at_new_events_or_at_its_time_limit(log: EventLog) -> None:
    reader = log.reader()
    first = reader.wait(60)
    nothing = reader.wait(0.01)
    waiting = asyncio.create_task(asyncio.to_thread(reader.wait, 60))
    await BuildOrchestrator(log, "b1", ["p"]).start_build()
    told = await waiting
    await BuildOrchestrator(log, "b2", ["p"]).start_build()
    before = reader.wait(60)

    assert (first, nothing, told, before) == (True, False, True, True)
    reader.close()


async def test_an_append_that_is_awaited_is_written_with_those_before_it(log: EventLog) -> None:
    one = BuildOrchestrator(log, "b", ["p"])
    earlier = one.start_build()
    await one.start_planning()

    assert isinstance(earlier, asyncio.Future)
    assert earlier.done()
    assert [event.sequence for event in log.reader().events("b")] == [1, 2, 3]


async def test_an_append_that_is_not_awaited_is_written_soon(log: EventLog) -> None:
    durable = BuildOrchestrator(log, "b", ["p"]).start_build()
    assert isinstance(durable, asyncio.Future)
    await until(durable.done)

    assert present(log.reader().build("b")).status == "RECEIVED"


async def test_requests_and_delegations_do_not_change_the_record_of_a_partition(log: EventLog) -> None:
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = BuildOrchestrator(log, "b2", ["p"])
    two.start_build()
    two.start_planning()
    two.emit_partition_scheduled("q", 1, pt.REASON_INPUT_CHANGED)
    await two.emit_delegation("b1", "//:j", ["p", "q"])

    records = log.reader().partition_records(["p", "q"])
    assert [records[ref].status for ref in "pq"] == ["AVAILABLE", "AVAILABLE"]
    assert records["p"].build_request_id == "b1"
    assert log.reader().partition_counts() == {"AVAILABLE": 2}


async def test_a_job_run_has_the_place_of_its_logs_and_after_its_end_their_sizes(log: EventLog) -> None:
    build = await begin(log, "b", "p", "q")
    for run, task in (("b.1.1", 1), ("b.2.1", 2)):
        build.emit_job_scheduled(run, task, "//:j")
    running = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_RUNNING, 1)
    running.log_store = "s3://bucket/logs"
    build.emit(("job", running))
    build.emit_placement("b.1.1", executor="dask://engine:1", handle="h")
    await build.emit_job_running("b.2.1", 2, "//:j")
    first, second = log.reader().job_runs("b")
    assert (first.log_store, first.executor, first.stdout_bytes) == ("s3://bucket/logs", "dask://engine:1", None)
    assert (second.log_store, second.stderr_bytes) == ("", None)
    ended = job_event(
        "b.1.1", 1, "//:j", ev.JOB_STATUS_FAILED, 1, pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no")
    )
    ended.stdout_bytes, ended.stderr_bytes = 5_000_000_000, 0
    await build.emit(("job", ended))

    record = present(log.reader().job_run("b.1.1"))
    assert (record.log_store, record.stdout_bytes, record.stderr_bytes) == ("s3://bucket/logs", 5_000_000_000, 0)
    assert (record.executor, record.status) == ("dask://engine:1", "FAILED")
    assert verify(log.reader()).reported == ()


async def test_a_request_to_cancel_shows_at_the_build(log: EventLog) -> None:
    await begin(log, "b", "p")
    await begin(log, "d", "q")
    request = ev.BuildEvent(event_id="c/1", build_request_id="c", sequence=1)
    request.cancel_request.target_build_request_id = "b"
    request.cancel_request.author = "ann"
    await log.append([request])

    assert present(log.reader().build("b")).cancel_requested_by == "ann"
    assert log.reader().cancel_requests(["b", "c", "d"]) == {"b": "ann"}


async def test_many_appends_at_once_are_all_durable_and_without_a_gap(log: EventLog) -> None:
    builds = [BuildOrchestrator(log, f"b{number}", ["p"]) for number in range(50)]

    await asyncio.gather(*(build.start_build() for build in builds), *(build.start_planning() for build in builds))

    with contextlib.closing(log.reader()) as reader:
        sequences = [[event.sequence for event in reader.events(build.build_request_id)] for build in builds]
    assert sequences == [[1, 2, 3]] * len(builds)


async def test_a_closed_log_refuses_appends_and_an_empty_append_is_done(uri: str) -> None:
    log = open_event_log(uri)
    await log.append([])
    await log.close()
    await log.close()

    with pytest.raises(EventLogError, match="closed"):
        await log.append([ev.BuildEvent(build_request_id="b", sequence=1)])
