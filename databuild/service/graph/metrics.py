"""Metrics for Prometheus, counted from the events of the builds of this process.

Labels are jobs and statuses. Partitions are not labels: there are too many of them for Prometheus.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from databuild.model.end_counts import count_ends
from databuild.service.builds.event_feeds import EventFeeds
from databuild.service.builds.running_builds import RunningBuilds
from databuild.service.resources.loop_lag import LoopLag
from databuild.v1.events_pb2 import BuildEvent

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


class Metrics:
    """The metrics of one service. An `EndCounters` for the events of its builds."""

    def __init__(self) -> None:
        # For each counter, the library would add a second series with the time of its creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._builds = Counter("databuild_builds", "Builds that ended.", ("status",), registry=self._registry)
        job_runs = Counter("databuild_job_runs", "Job runs that ended.", ("job", "status"), registry=self._registry)
        seconds = Histogram(
            "databuild_job_run_duration_seconds",
            "Duration of job runs.",
            ("job",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        partitions = Counter(
            "databuild_partitions", "Partitions that reached a final status.", ("status",), registry=self._registry
        )
        # The library checks the labels at each look-up, which takes longer than to count.
        self._job_runs = functools.cache(job_runs.labels)
        self._seconds = functools.cache(seconds.labels)
        self._partitions = functools.cache(partitions.labels)

    def observe(self, event: BuildEvent) -> None:
        """Counts the ends that an event reports."""
        count_ends(event, self)

    def build_ended(self, status: str) -> None:
        self._builds.labels(status).inc()

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        self._job_runs(job, status).inc()
        if seconds:  # 0 for a job run that never started
            self._seconds(job).observe(seconds)

    def partition_ended(self, status: str) -> None:
        self._partitions(status).inc()

    def watch(self, running: RunningBuilds, event_feeds: EventFeeds, lag: LoopLag) -> None:
        """Adds gauges, which are read each time the metrics are requested."""
        self._registry.register(_Gauges(running, event_feeds, lag))

    def text(self) -> bytes:
        """Returns all metrics in the Prometheus text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, running: RunningBuilds, event_feeds: EventFeeds, lag: LoopLag) -> None:
        self._running = running
        self._event_feeds = event_feeds
        self._lag = lag

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, description, value in (
            ("builds_running", "Running builds of this service.", len(self._running.running)),
            ("builds_waiting", "Builds in the queue of this service.", len(self._running.waiting)),
            ("watchers", "Clients that watch a build.", self._event_feeds.watchers),
            (
                "event_loop_lag_seconds",
                "Maximum lag of the event loop in the last one to two minutes.",
                self._lag.seconds,
            ),
        ):
            yield GaugeMetricFamily(f"databuild_{name}", description, value=value)
