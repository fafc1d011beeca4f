"""Tracing and metrics for programs that drive an orchestrator themselves and have set up the OpenTelemetry SDK.

Builds of the command line and of services do not use it: their traces and metrics are made from durable events
(`databuild/exporters/otlp`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from databuild.v1 import events_pb2 as ev

Attributes = Mapping[str, str | int]


class Telemetry(Protocol):
    """Receives spans and metrics of a build."""

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Returns a context manager for a span. An exception that leaves the context marks the span as failed."""
        ...

    def observe(self, event: ev.BuildEvent) -> None:
        """Counts an event of a build in the metrics."""
        ...


class NoTelemetry:
    """Measures nothing."""

    def span(self, _name: str, _attributes: Attributes, /) -> AbstractContextManager[object]:
        return nullcontext()

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

        self._tracer = trace.get_tracer("databuild")
        meter = metrics.get_meter("databuild")
        self._builds = meter.create_counter("databuild.builds", "{build}", "Builds that ended.")
        self._job_runs = meter.create_counter("databuild.job_runs", "{run}", "Job runs that ended.")
        self._durations = meter.create_histogram("databuild.job_run.duration", "s", "How long job runs took.")
        self._partitions = meter.create_counter(
            "databuild.partitions", "{partition}", "Partitions that reached an end."
        )

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name, attributes=attributes)

    def observe(self, event: ev.BuildEvent) -> None:
        from databuild.model.end_counts import count_ends

        count_ends(event, self)

    def build_ended(self, status: str) -> None:
        self._builds.add(1, {"status": status})

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        self._job_runs.add(1, {"job": job, "status": status})
        if seconds:
            self._durations.record(seconds, {"job": job})

    def partition_ended(self, status: str) -> None:
        self._partitions.add(1, {"status": status})
