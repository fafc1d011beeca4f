"""What the events of a build add up to, as far as a display needs it. It does not know what it is displayed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from databuild.model import statuses
from databuild.model.planning import PlanningProgress
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class BuildCounts:
    """Counts the events of one build.

    Attributes:
        phase: What the build is doing, in a word.
        total: How many tasks there are.
        completed: How many tasks have completed.
        failed: How many job runs have failed.
        running: The job runs that run now: label and start, by id.
        delegations: What was taken from other builds: refs by build.
        failed_partitions: The events of partitions that were not produced.
        failed_checks: What came of checks that did not pass.
        planning: How far planning is; None where that is not known.
        warnings: What may not be meant as it is, each once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.phase = "starting"
        self.total = 0
        self.completed = 0
        self.failed = 0
        self.running: dict[str, tuple[str, float]] = {}
        self.delegations: dict[str, list[str]] = {}
        self.failed_partitions: list[ev.PartitionEvent] = []
        self.failed_checks: list[pt.CheckResult] = []
        self.planning: PlanningProgress | None = None
        self.warnings: dict[str, None] = {}

    def warned(self, warnings: Iterable[str]) -> list[str]:
        """Takes note of warnings, and returns those that are new."""
        fresh = [warning for warning in warnings if warning not in self.warnings]
        self.warnings.update(dict.fromkeys(fresh))
        return fresh

    def add(self, event: ev.BuildEvent) -> bool:
        """Takes note of an event, and returns whether a person may want to know of it at once.

        Kinds that it does not know count nothing: a newer service may send them.
        """
        kind = event.WhichOneof("event")
        if kind == "partition":
            if event.partition.status == pt.PARTITION_STATUS_FAILED:
                self.failed_partitions.append(event.partition)
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
        if kind == "job_graph":
            self.total = event.job_graph.total_tasks
        elif kind == "delegation":
            refs = self.delegations.setdefault(event.delegation.delegated_to_build_request_id, [])
            refs += [ref.str for ref in event.delegation.partitions]
            return event.delegation.running
        return False

    def _add_job(self, job: ev.JobEvent) -> bool:
        status = job.status
        if status == ev.JOB_STATUS_RUNNING:
            self.running[job.job_run_id] = (job.job_label, self.clock())
            return False
        if status == ev.JOB_STATUS_SCHEDULED:
            return False
        self.running.pop(job.job_run_id, None)
        if status == ev.JOB_STATUS_COMPLETED:
            self.completed += 1
        elif status == ev.JOB_STATUS_FAILED:
            self.failed += 1
            return True
        return False
