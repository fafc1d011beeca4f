"""A build comes to a Build Event Service in several batches, while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.exporters.bes.bes_exporter import BesExporter
from databuild.exporters.bes.run_results import RunLogs
from databuild.exporters.exporter import Batch
from databuild.model.client_tls import ClientTls
from databuild.v1 import events_pb2 as ev
from databuild.v1 import plan_pb2
from tests.support.bes_server import BesServer


@pytest.fixture
def server() -> Iterator[BesServer]:
    server = BesServer()
    yield server
    server.stop()
    assert not server.faults


@pytest.fixture
def log() -> Iterator[EventLog]:
    opened = open_event_log("memory:")
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def exporter(server: BesServer, tmp_path: Path) -> Iterator[BesExporter]:
    """An exporter that looks for logs in the folder of the test."""
    exporter = BesExporter(
        server.uri,
        headers={},
        credential_helper="",
        environ={},
        tls=ClientTls(),
        logs=RunLogs(lambda job_run, stream: f"{tmp_path}/{job_run.job_run_id}.{stream}", lambda *_: b""),
        exit_code_of_error=lambda _error: 3,
    )
    yield exporter
    exporter.close()


def status(status: ev.BuildStatus) -> ev.BuildEvent:
    return ev.BuildEvent(build_request=ev.BuildRequestEvent(status=status))


def ended(task: int) -> ev.BuildEvent:
    job_run_id = f"b.{task}.1"
    job = ev.JobEvent(job_run_id=job_run_id, task_id=task, job_label="//:a", attempt=1, status=ev.JOB_STATUS_COMPLETED)
    return ev.BuildEvent(job=job)


def numbered(*events: ev.BuildEvent) -> list[tuple[int, ev.BuildEvent]]:
    """Returns the events of a build with their positions."""
    for number, event in enumerate(events, 1):
        event.event_id, event.build_request_id, event.sequence = f"b/{number}", "b", number
        event.time.CopyFrom(Timestamp(seconds=number))
    return list(enumerate(events, 1))


async def append(log: EventLog, events: Sequence[ev.BuildEvent]) -> None:
    await log.append(events)


def test_logs_that_are_written_between_two_batches(
    exporter: BesExporter, log: EventLog, server: BesServer, tmp_path: Path
) -> None:
    tasks = [plan_pb2.Task(task_id=task, job_label="//:a") for task in (1, 2)]
    events = numbered(
        status(ev.BUILD_STATUS_RECEIVED),
        ev.BuildEvent(job_graph=ev.JobGraphEvent(tasks=tasks, total_tasks=2)),
        status(ev.BUILD_STATUS_ANALYSIS_COMPLETED),
        ended(1),
        ended(2),
        status(ev.BUILD_STATUS_COMPLETED),
    )

    exporter.send(Batch(events[:4]), log.reader())
    (tmp_path / "b.2.1.stdout").write_text("two")
    exporter.send(Batch(events[4:]), log.reader())

    results = server.only_stream().rules.of("test_result")
    assert [[file.length for file in event.test_result.test_action_output] for event in results] == [[], [3]]


def test_a_build_whose_end_is_read_before_it_comes_is_sent_once(
    exporter: BesExporter, log: EventLog, server: BesServer
) -> None:
    events = numbered(
        status(ev.BUILD_STATUS_RECEIVED), status(ev.BUILD_STATUS_PLANNING), status(ev.BUILD_STATUS_FAILED)
    )
    asyncio.run(append(log, [event for _, event in events]))

    # The exporter reads the events from the first on, since it has not sent it.
    assert exporter.send(Batch(events[1:2]), log.reader()).handled == 1
    assert exporter.send(Batch(events[2:]), log.reader()).handled == 1

    assert server.only_stream().finished
    assert (server.calls, server.only_stream().repeated) == (1, 0)
