"""Tracing and metrics of builds.

Spans are made where work is done; metrics are counted from the events of a build, so that they can say nothing that the
event log does not. Labels are jobs and statuses, never partitions or builds, of which there are too many. Where the
measurements go, the process that sets OpenTelemetry up decides; without it nothing is imported and nothing measured.
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
    """Takes measurements."""

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Returns a context whose duration is a span; an error that leaves it makes the span one of an error."""
        ...

    def traceparent(self) -> str:
        """Returns the current span as a `traceparent` (W3C Trace Context, level 1); empty where there is none."""
        ...

    def observe(self, event: ev.BuildEvent) -> None:
        """Takes an event of a build into the metrics."""
        ...


class NoTelemetry:
    """Measures nothing."""

    def span(self, _name: str, _attributes: Attributes, /) -> AbstractContextManager[object]:
        """Returns a context that does nothing."""
        return nullcontext()

    def traceparent(self) -> str:
        """Returns nothing."""
        return ""

    def observe(self, _event: ev.BuildEvent, /) -> None:
        """Does nothing."""


class OpenTelemetry:
    """Measures through the providers that the process has set up (`opentelemetry.trace`, `opentelemetry.metrics`).

    Metrics: `databuild.builds` {status}, `databuild.job_runs` {job, status}, `databuild.job_run.duration` {job} in
    seconds, `databuild.partitions` {status} of those that reached an end.
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
        """Returns a context whose duration is a span."""
        return self._tracer.start_as_current_span(name, attributes=attributes)

    def traceparent(self) -> str:
        """Returns the current span as a `traceparent`."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def observe(self, event: ev.BuildEvent) -> None:
        """Takes an event of a build into the metrics."""
        kind = event.WhichOneof("event")
        if kind == "job" and event.job.status in JOB_ENDS:
            job = {"job": event.job.job_label}
            self._job_runs.add(1, {**job, "status": job_status_name(event.job.status)})
            if event.job.duration_seconds:
                self._durations.record(event.job.duration_seconds, job)
        elif kind == "partition" and event.partition.status in PARTITION_ENDS:
            self._partitions.add(1, {"status": partition_status_name(event.partition.status)})
        elif kind == "build_request" and event.build_request.status in BUILD_ENDS:
            self._builds.add(1, {"status": build_status_name(event.build_request.status)})
