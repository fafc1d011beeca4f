"""Tracing and metrics of builds.

Spans are opened where work is done. Metrics are counted from the events of a build, so they agree with the event log.
Metric attributes are jobs and statuses, never partitions or builds, whose number is unbounded. `telemetry_setup.py`
configures the exporters; without it nothing is imported or measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from databuild.model.lifecycle import (
    BUILD_ENDS,
    JOB_ENDS,
    PARTITION_ENDS,
    build_status_name,
    job_status_name,
    partition_status_name,
)
from databuild.v1 import events_pb2 as ev

Attributes = Mapping[str, str | int]


class Telemetry(Protocol):
    """Receives spans and metrics of builds."""

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Returns a context manager for a span. An exception that leaves the context marks the span as failed."""
        ...

    def traceparent(self) -> str:
        """Returns the current span as a `traceparent` (W3C Trace Context, level 1); empty without a span."""
        ...

    def observe(self, event: ev.BuildEvent) -> None:
        """Counts an event of a build in the metrics."""
        ...


class EndCounters(Protocol):
    """Counts builds, job runs and partitions that ended, by the name of their status."""

    def build_ended(self, status: str) -> None: ...

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        """Counts a job run; `seconds` is 0 if it never ran."""
        ...

    def partition_ended(self, status: str) -> None: ...


class NoTelemetry:
    """Measures nothing."""

    def span(self, _name: str, _attributes: Attributes, /) -> AbstractContextManager[object]:
        return nullcontext()

    def traceparent(self) -> str:
        return ""

    def observe(self, _event: ev.BuildEvent, /) -> None:
        pass


class OpenTelemetry:
    """Measures through the global providers of `opentelemetry.trace` and `opentelemetry.metrics`.

    Metrics: `databuild.builds` {status}, `databuild.job_runs` {job, status}, `databuild.job_run.duration` {job} in
    seconds, `databuild.partitions` {status}. They count ends only.
    """

    def __init__(self) -> None:
        """Imports OpenTelemetry, which takes tens of milliseconds."""
        from opentelemetry import metrics, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = trace.get_tracer("databuild")
        self._propagator = TraceContextTextMapPropagator()
        meter = metrics.get_meter("databuild")
        self._builds = meter.create_counter("databuild.builds", "{build}", "Builds that ended.")
        self._job_runs = meter.create_counter("databuild.job_runs", "{run}", "Job runs that ended.")
        self._durations = meter.create_histogram("databuild.job_run.duration", "s", "How long job runs took.")
        self._partitions = meter.create_counter(
            "databuild.partitions", "{partition}", "Partitions that reached an end."
        )

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name, attributes=attributes)

    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def observe(self, event: ev.BuildEvent) -> None:
        count_ends(event, self)

    def build_ended(self, status: str) -> None:
        self._builds.add(1, {"status": status})

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        self._job_runs.add(1, {"job": job, "status": status})
        if seconds:
            self._durations.record(seconds, {"job": job})

    def partition_ended(self, status: str) -> None:
        self._partitions.add(1, {"status": status})


def count_ends(event: ev.BuildEvent, counters: EndCounters) -> None:
    """Counts the build, job run or partition that an event ends, if any."""
    kind = event.WhichOneof("event")
    if kind == "job" and event.job.status in JOB_ENDS:
        job = event.job
        counters.job_run_ended(job.job_label, job_status_name(job.status), job.duration_seconds)
    elif kind == "partition" and event.partition.status in PARTITION_ENDS:
        counters.partition_ended(partition_status_name(event.partition.status))
    elif kind == "build_request" and event.build_request.status in BUILD_ENDS:
        counters.build_ended(build_status_name(event.build_request.status))
