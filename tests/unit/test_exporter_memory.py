"""Exporters fill the same messages for many events, whose values protobuf keeps until a message is replaced."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.exporters.bes import stream_ids
from databuild.exporters.bes.requests import Requests
from databuild.exporters.bes.run_results import RunResults
from databuild.exporters.otlp.build_trace import BuildTrace, Links
from databuild.v1 import events_pb2 as ev

COUNT = 20_000
TEXT = "x" * 1000
MAX_GROWTH = 8 * 1024 * 1024
"""Less than half of what the values of all events take."""


def requests() -> Callable[[int], object]:
    requests = Requests("b", "")
    event = bep.BuildEvent(id=stream_ids.test_result("//:j", 1, 1), aborted=bep.Aborted(description=TEXT))
    return lambda number: requests.event(number + 1, Timestamp(seconds=number), event)


def results() -> Callable[[int], object]:
    results = RunResults()
    job = ev.JobEvent(status=ev.JOB_STATUS_FAILED)
    job.failure.message = TEXT
    result_id = stream_ids.test_result("//:j", 1, 1)
    return lambda number: results.event(result_id, job, bep.FAILED, number, None, ())


class CountedSpans:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> Span:
        self.count += 1
        return Span()


def spans() -> Callable[[int], object]:
    trace = BuildTrace("b", Links(producers=lambda _: {}, trace_of=lambda _: None, max_links=1), 10)
    received = ev.BuildRequestEvent(status=ev.BUILD_STATUS_RECEIVED)
    trace.advance(ev.BuildEvent(sequence=1, build_request=received), "build_request", None)
    counted = CountedSpans()

    def run(number: int) -> None:
        for status in (ev.JOB_STATUS_SCHEDULED, ev.JOB_STATUS_RUNNING, ev.JOB_STATUS_COMPLETED):
            job = ev.JobEvent(job_run_id=f"{TEXT}.{number}", job_label="//:j", status=status)
            trace.advance(ev.BuildEvent(time=Timestamp(seconds=1), job=job), "job", counted)
        assert counted.count == number

    return run


@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of the process from /proc")
@pytest.mark.parametrize("maker", [requests, results, spans])
def test_messages_that_are_filled_again_do_not_keep_earlier_values(
    maker: Callable[[], Callable[[int], object]],
) -> None:
    make = maker()
    for number in range(COUNT // 4):  # the allocator gets what it needs
        make(number)
    before = resident_bytes()

    for number in range(COUNT // 4, COUNT + COUNT // 4):
        make(number)

    assert resident_bytes() - before < MAX_GROWTH


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
