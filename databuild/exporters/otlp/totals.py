"""Metrics as totals since the first use of the exporter.

The exporter keeps them with its cursor. So they count each event once: over all processes that share an event log, also
after a crash, and if events are sent again. Labels are jobs and statuses.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from databuild.exporters.otlp.attributes import SCOPE, key_values, nanoseconds, resource_of
from databuild.model.end_counts import count_ends
from databuild.v1 import events_pb2 as ev

_BOUNDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


class Totals:
    """The counts of ended builds, job runs and partitions. An `EndCounters`."""

    def __init__(self, text: str = "") -> None:
        """Reads totals that `text` returned; empty for none."""
        kept: dict[str, Any] = json.loads(text) if text else {}
        self._counted = int(kept.get("counted", 0))
        self._start = int(kept.get("start", 0))
        self._time = int(kept.get("time", 0))
        self._builds: dict[str, int] = kept.get("builds", {})
        self._partitions: dict[str, int] = kept.get("partitions", {})
        self._job_runs: dict[tuple[str, str], int] = {(job, status): n for job, status, n in kept.get("job_runs", ())}
        # The sum of the seconds, and the number of job runs in each bucket.
        self._durations: dict[str, tuple[float, list[int]]] = {
            job: (seconds, buckets) for job, seconds, buckets in kept.get("durations", ())
        }

    def text(self) -> str:
        """Returns the totals as a text."""
        return json.dumps(
            {
                "counted": self._counted,
                "start": self._start,
                "time": self._time,
                "builds": self._builds,
                "partitions": self._partitions,
                "job_runs": [[job, status, count] for (job, status), count in self._job_runs.items()],
                "durations": [[job, seconds, buckets] for job, (seconds, buckets) in self._durations.items()],
            },
            separators=(",", ":"),
        )

    def count(self, position: int, event: ev.BuildEvent) -> None:
        """Counts an event, unless it was counted before."""
        if position <= self._counted:
            return
        self._counted = position
        time = nanoseconds(event.time)
        self._start = self._start or time
        # The clocks of orchestrators differ, and totals must not go back in time.
        self._time = max(self._time, time)
        count_ends(event, self)

    def begin(self, event: ev.BuildEvent) -> None:
        """Sets the time of the first event of all, which precedes those that are counted."""
        self._start = self._start or nanoseconds(event.time)

    def pass_by(self, position: int) -> None:
        """Goes on after events that end nothing."""
        self._counted = max(self._counted, position)

    def build_ended(self, status: str) -> None:
        self._builds[status] = self._builds.get(status, 0) + 1

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        self._job_runs[job, status] = self._job_runs.get((job, status), 0) + 1
        if seconds:
            total, buckets = self._durations.get(job, (0.0, [0] * (len(_BOUNDS) + 1)))
            buckets[bisect.bisect_left(_BOUNDS, seconds)] += 1
            self._durations[job] = total + seconds, buckets

    def partition_ended(self, status: str) -> None:
        self._partitions[status] = self._partitions.get(status, 0) + 1

    def request(self, resource: Mapping[str, str], environment: str = "") -> ExportMetricsServiceRequest:
        """Returns the request that sends the totals.

        Args:
            resource: The attributes of the resource.
            environment: The environment in which they were counted, as a label; empty for the base, without one.
        """
        builds = [({"status": status}, count) for status, count in self._builds.items()]
        runs = [({"job": job, "status": status}, count) for (job, status), count in self._job_runs.items()]
        partitions = [({"status": status}, count) for status, count in self._partitions.items()]
        place = {"environment": environment}
        metrics = [
            self._sum("databuild.builds", "{build}", "Builds that ended.", builds, place),
            self._sum("databuild.job_runs", "{run}", "Job runs that ended.", runs, place),
            self._sum("databuild.partitions", "{partition}", "Partitions that reached an end.", partitions, place),
            self._histogram(place),
        ]
        scope = ScopeMetrics(scope=SCOPE, metrics=metrics)
        return ExportMetricsServiceRequest(
            resource_metrics=[ResourceMetrics(resource=resource_of(resource), scope_metrics=[scope])]
        )

    def _sum(
        self,
        name: str,
        unit: str,
        description: str,
        counts: Iterable[tuple[Mapping[str, str], int]],
        place: Mapping[str, str],
    ) -> Metric:
        points = [
            NumberDataPoint(
                attributes=key_values({**labels, **place}),
                start_time_unix_nano=self._start,
                time_unix_nano=self._time,
                as_int=count,
            )
            for labels, count in counts
        ]
        data = Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True)
        return Metric(name=name, unit=unit, description=description, sum=data)

    def _histogram(self, place: Mapping[str, str]) -> Metric:
        points = [
            HistogramDataPoint(
                attributes=key_values({"job": job, **place}),
                start_time_unix_nano=self._start,
                time_unix_nano=self._time,
                count=sum(buckets),
                sum=seconds,
                bucket_counts=buckets,
                explicit_bounds=_BOUNDS,
            )
            for job, (seconds, buckets) in self._durations.items()
        ]
        data = Histogram(data_points=points, aggregation_temporality=_CUMULATIVE)
        return Metric(name="databuild.job_run.duration", unit="s", description="Duration of job runs.", histogram=data)
