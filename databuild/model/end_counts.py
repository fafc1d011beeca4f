"""Counts of builds, job runs and partitions that ended, from events, so that every metric agrees with the event log.

Labels are jobs and statuses, never partitions or builds, whose number is unbounded.
"""

from __future__ import annotations

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


class EndCounters(Protocol):
    """Counts builds, job runs and partitions that ended, by the name of their status."""

    def build_ended(self, status: str) -> None: ...

    def job_run_ended(self, job: str, status: str, seconds: float) -> None:
        """Counts a job run; `seconds` is 0 if it never ran."""
        ...

    def partition_ended(self, status: str) -> None: ...


def count_ends(event: ev.BuildEvent, counters: EndCounters) -> None:
    """Counts the build, job run or partition that an event ends, if any."""
    kind = event.WhichOneof("event")
    if kind == "partition":
        if (partition_status := event.partition.status) in PARTITION_ENDS:
            counters.partition_ended(partition_status_name(partition_status))
    elif kind == "job":
        job = event.job
        if (job_status := job.status) in JOB_ENDS:
            counters.job_run_ended(job.job_label, job_status_name(job_status), job.duration_seconds)
    elif kind == "build_request" and event.build_request.status in BUILD_ENDS:
        counters.build_ended(build_status_name(event.build_request.status))
