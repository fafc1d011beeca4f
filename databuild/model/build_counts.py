"""Counts over the events of a build, for displays of its progress. It does not know the display."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from databuild.model import statuses
from databuild.model.planning import PlanningProgress
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_LONG_WAIT_SECONDS: Final = 60.0


class BuildCounts:
    """Counts the events of one build.

    Attributes:
        phase: The build's status in lower case, such as `executing`; `starting` before its first event.
        total: The number of tasks.
        completed: The number of tasks that have completed.
        failed: The number of tasks that have failed.
        retried: The ids of the job runs that have failed and that another attempt at the task follows.
        outputs: The first output and the number of outputs of each job run that is running or has failed, by id.
        running: The job label and start time, on the clock, of each running job run, by id.
        queued: The engine and the time, on the clock, of each running job run that waits for a machine there, by id.
        delegations: The refs that were delegated to other builds, by build.
        failed_partitions: The FAILED events of partitions.
        failed_checks: The results of checks that did not pass.
        planning: The progress of planning; None if it is unknown.
        warnings: The warnings, without duplicates, in order; the values have no meaning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.phase = "starting"
        self.total = 0
        self.completed = 0
        self.failed = 0
        self.running: dict[str, tuple[str, float]] = {}
        self.outputs: dict[str, tuple[str, int]] = {}
        self.retried: set[str] = set()
        self.queued: dict[str, tuple[str, float]] = {}
        self.delegations: dict[str, list[str]] = {}
        self.failed_partitions: list[ev.PartitionEvent] = []
        self.failed_checks: list[pt.CheckResult] = []
        self.planning: PlanningProgress | None = None
        self.warnings: dict[str, None] = {}

    def add_warnings(self, warnings: Iterable[str]) -> list[str]:
        """Adds warnings, and returns those that are new."""
        new = [warning for warning in warnings if warning not in self.warnings]
        self.warnings.update(dict.fromkeys(new))
        return new

    def add(self, event: ev.BuildEvent) -> bool:
        """Counts an event, and returns True if a display should show it immediately.

        Events of unknown kinds are ignored: a newer service may send them.
        """
        kind = event.WhichOneof("event")
        if kind == "partition":
            partition = event.partition
            if partition.status == pt.PARTITION_STATUS_FAILED:
                self.failed_partitions.append(partition)
            elif partition.status == pt.PARTITION_STATUS_BUILDING:
                first, number = self.outputs.get(partition.job_run_id, (partition.ref, 0))
                self.outputs[partition.job_run_id] = (first, number + 1)
            return False
        if kind == "job":
            return self._add_job(event.job)
        if kind == "check":
            if not event.check.result.passed:
                self.failed_checks.append(event.check.result)
            return False
        if kind == "build_request":
            self.phase = statuses.BUILD.name(event.build_request.status).lower()
            return event.build_request.status == ev.BUILD_STATUS_EXECUTING
        if kind == "placement":
            self._place(event.placement)
        elif kind == "job_graph":
            self.total = event.job_graph.total_tasks
        elif kind == "delegation":
            refs = self.delegations.setdefault(event.delegation.delegated_to_build_request_id, [])
            refs += [ref.str for ref in event.delegation.partitions]
            return event.delegation.running
        return False

    def outputs_text(self, job_run_id: str) -> str:
        """Names the outputs of a job run that is running or has failed, such as `a/1 and 2 more`; empty for none."""
        first, number = self.outputs.get(job_run_id, ("", 0))
        return f"{first} and {number - 1} more" if number > 1 else first

    def long_waits(self) -> list[str]:
        """Returns a warning about each engine at which a job run has waited for a machine for a minute."""
        if not self.queued:
            return []
        late = self.clock() - _LONG_WAIT_SECONDS
        return [
            f"job runs have waited for a machine of {engine} for a minute; if its machines are not busy, none of them "
            "has the properties that the jobs require"
            for engine in sorted({engine for engine, since in self.queued.values() if since <= late})
        ]

    def _place(self, placement: ev.PlacementEvent) -> None:
        if placement.started:
            self.queued.pop(placement.job_run_id, None)
        else:
            self.queued[placement.job_run_id] = (placement.executor, self.clock())

    def _add_job(self, job: ev.JobEvent) -> bool:
        status = job.status
        if status == ev.JOB_STATUS_RUNNING:
            self.running[job.job_run_id] = (job.job_label, self.clock())
            return False
        if status == ev.JOB_STATUS_SCHEDULED:
            return False
        self.running.pop(job.job_run_id, None)  # absent if the run never started
        self.queued.pop(job.job_run_id, None)
        if status == ev.JOB_STATUS_FAILED:
            if job.retried:
                self.retried.add(job.job_run_id)
            else:
                self.failed += 1
            return True  # its outputs are kept for displays of failures
        self.outputs.pop(job.job_run_id, None)
        if status == ev.JOB_STATUS_COMPLETED:
            self.completed += 1
        return False
