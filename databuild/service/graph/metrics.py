"""Metrics for Prometheus: counted from the events of this process's builds, and labelled by job, never by partition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from databuild.orchestration.telemetry.telemetry import count_ends
from databuild.service.builds.running_builds import RunningBuilds
from databuild.service.builds.watching import Watching
from databuild.service.resources.loop_lag import LoopLag
from databuild.v1.events_pb2 import BuildEvent

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


class Metrics:
    """Counts what builds of this process do."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when something was first counted is of no use
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._builds = Counter("databuild_builds", "Builds that ended.", ("status",), registry=self._registry)
        self._job_runs = Counter(
            "databuild_job_runs", "Job runs that ended.", ("job", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "databuild_job_run_duration_seconds",
            "How long job runs took.",
            ("job",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._partitions = Counter(
            "databuild_partitions", "Partitions that reached an end.", ("status",), registry=self._registry
        )

    def observe(self, event: BuildEvent) -> None:
        """Takes an event of a build."""
        count_ends(event, self)

    def build_ended(self, status: str) -> None:
        """Counts a build."""
        self._builds.labels(status).inc()

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        """Counts a job run, and records its duration."""
        self._job_runs.labels(job, status).inc()
        if seconds:
            self._seconds.labels(job).observe(seconds)

    def partition_ended(self, status: str) -> None:
        """Counts a partition."""
        self._partitions.labels(status).inc()

    def watch(self, running: RunningBuilds, watching: Watching, lag: LoopLag) -> None:
        """Adds how many builds run and wait, how many watch them, and how late the event loop is."""
        self._registry.register(_Gauges(running, watching, lag))

    def text(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, running: RunningBuilds, watching: Watching, lag: LoopLag) -> None:
        self._running = running
        self._watching = watching
        self._lag = lag

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Returns the gauges as they stand."""
        running = len(self._running.running)
        yield GaugeMetricFamily("databuild_builds_running", "Builds of this service that run.", value=running)
        waiting = len(self._running.waiting)
        yield GaugeMetricFamily("databuild_builds_waiting", "Builds that wait for their turn.", value=waiting)
        watchers = self._watching.watchers
        yield GaugeMetricFamily("databuild_watchers", "Those who watch a build.", value=watchers)
        late = "The most that the event loop was late in the last minute or two."
        yield GaugeMetricFamily("databuild_event_loop_lag_seconds", late, value=self._lag.seconds)
