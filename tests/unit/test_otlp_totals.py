"""Metrics are totals that survive the process and count each event once."""

from __future__ import annotations

from databuild.exporters.otlp.totals import Totals
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.otlp_receiver import values


def job(seconds: float, time: int, status: ev.JobStatus = ev.JOB_STATUS_COMPLETED) -> ev.BuildEvent:
    event = ev.BuildEvent(job=ev.JobEvent(job_label="//:j", status=status, duration_seconds=seconds))
    event.time.FromNanoseconds(time)
    return event


def counted(*events: ev.BuildEvent) -> Totals:
    totals = Totals()
    for position, event in enumerate(events, 1):
        totals.count(position, event)
    return totals


def test_durations_are_in_buckets() -> None:
    request = counted(job(0.05, 5), job(0.1, 9), job(70, 7), job(0, 8, ev.JOB_STATUS_SKIPPED)).request({"a": "b"})

    [resource] = request.resource_metrics
    assert values(resource.resource.attributes) == {"a": "b"}
    by_name = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    [point] = by_name["databuild.job_run.duration"].histogram.data_points
    assert (point.count, point.sum, list(point.bucket_counts)) == (3, 70.15, [2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    # The clock went back meanwhile.
    assert (point.start_time_unix_nano, point.time_unix_nano) == (5, 9)
    runs = by_name["databuild.job_runs"].sum
    assert [(values(run.attributes)["status"], run.as_int) for run in runs.data_points] == [
        ("COMPLETED", 3),
        ("SKIPPED", 1),
    ]
    assert runs.is_monotonic


def test_totals_continue_from_their_text_and_count_no_event_twice() -> None:
    partition = ev.BuildEvent(partition=ev.PartitionEvent(status=pt.PARTITION_STATUS_AVAILABLE))
    end = ev.BuildEvent(build_request=ev.BuildRequestEvent(status=ev.BUILD_STATUS_COMPLETED))
    events = [job(1, 5), partition, job(2, 9), end, partition]
    whole = counted(*events)

    resumed = Totals(counted(*events[:3]).text())
    for position, event in list(enumerate(events, 1))[1:]:
        resumed.count(position, event)

    assert resumed.text() == whole.text()
    assert resumed.request({}) == whole.request({})
