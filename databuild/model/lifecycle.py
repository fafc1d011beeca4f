"""The lifecycle of a build: tables of the allowed transitions, and the state machine that applies them.

Every event is checked three times against these tables: by the orchestrator before it appends, by the event log before
it writes, and by `events verify`. The module does not know the source or the destination of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from databuild.errors import InvalidStateTransitionError
from databuild.model import statuses
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

NOTHING: Final = 0
"""The status of a build, partition or job run without events."""

# A build may fail or be cancelled in every open status.
BUILD_TRANSITIONS: Final[dict[int, frozenset[int]]] = {
    NOTHING: frozenset({ev.BUILD_STATUS_RECEIVED}),
    ev.BUILD_STATUS_RECEIVED: frozenset({ev.BUILD_STATUS_PLANNING, ev.BUILD_STATUS_FAILED, ev.BUILD_STATUS_CANCELLED}),
    ev.BUILD_STATUS_PLANNING: frozenset(
        {ev.BUILD_STATUS_ANALYSIS_COMPLETED, ev.BUILD_STATUS_FAILED, ev.BUILD_STATUS_CANCELLED}
    ),
    ev.BUILD_STATUS_ANALYSIS_COMPLETED: frozenset(
        {ev.BUILD_STATUS_EXECUTING, ev.BUILD_STATUS_FAILED, ev.BUILD_STATUS_CANCELLED}
    ),
    ev.BUILD_STATUS_EXECUTING: frozenset(
        {ev.BUILD_STATUS_COMPLETED, ev.BUILD_STATUS_FAILED, ev.BUILD_STATUS_CANCELLED}
    ),
    ev.BUILD_STATUS_COMPLETED: frozenset(),
    ev.BUILD_STATUS_FAILED: frozenset(),
    ev.BUILD_STATUS_CANCELLED: frozenset(),
}

PARTITION_TRANSITIONS: Final[dict[int, frozenset[int]]] = {
    NOTHING: frozenset(
        {
            pt.PARTITION_STATUS_REQUESTED,
            pt.PARTITION_STATUS_SCHEDULED,
            pt.PARTITION_STATUS_DELEGATED,
            pt.PARTITION_STATUS_MISSING,
        }
    ),
    pt.PARTITION_STATUS_REQUESTED: frozenset(
        {
            pt.PARTITION_STATUS_SCHEDULED,
            pt.PARTITION_STATUS_DELEGATED,
            pt.PARTITION_STATUS_FAILED,
            pt.PARTITION_STATUS_MISSING,
        }
    ),
    # Another build may claim the partition first, so that it is delegated during execution.
    pt.PARTITION_STATUS_SCHEDULED: frozenset(
        {pt.PARTITION_STATUS_BUILDING, pt.PARTITION_STATUS_DELEGATED, pt.PARTITION_STATUS_FAILED}
    ),
    # SCHEDULED again: the attempt failed and is retried.
    pt.PARTITION_STATUS_BUILDING: frozenset(
        {pt.PARTITION_STATUS_AVAILABLE, pt.PARTITION_STATUS_FAILED, pt.PARTITION_STATUS_SCHEDULED}
    ),
    # The data may be removed from its store while the build runs. A task that runs again for a lost output makes its
    # other outputs again as well.
    pt.PARTITION_STATUS_AVAILABLE: frozenset({pt.PARTITION_STATUS_MISSING}),
    pt.PARTITION_STATUS_FAILED: frozenset(),
    # The other build may fail, and then this build produces the partition itself.
    pt.PARTITION_STATUS_DELEGATED: frozenset({pt.PARTITION_STATUS_SCHEDULED, pt.PARTITION_STATUS_MISSING}),
    pt.PARTITION_STATUS_MISSING: frozenset(
        {pt.PARTITION_STATUS_SCHEDULED, pt.PARTITION_STATUS_DELEGATED, pt.PARTITION_STATUS_FAILED}
    ),
}

MAY_BE_LOST: Final = frozenset(
    status for status, following in PARTITION_TRANSITIONS.items() if pt.PARTITION_STATUS_MISSING in following
)
"""The statuses of partitions whose data a build may find to be missing."""

JOB_TRANSITIONS: Final[dict[int, frozenset[int]]] = {
    # A task that never becomes ready has one job run, whose end is its first event.
    NOTHING: frozenset({ev.JOB_STATUS_SCHEDULED, ev.JOB_STATUS_CANCELLED, ev.JOB_STATUS_SKIPPED}),
    # FAILED without RUNNING: the process could not be started.
    ev.JOB_STATUS_SCHEDULED: frozenset(
        {ev.JOB_STATUS_RUNNING, ev.JOB_STATUS_FAILED, ev.JOB_STATUS_CANCELLED, ev.JOB_STATUS_SKIPPED}
    ),
    ev.JOB_STATUS_RUNNING: frozenset({ev.JOB_STATUS_COMPLETED, ev.JOB_STATUS_FAILED, ev.JOB_STATUS_CANCELLED}),
    ev.JOB_STATUS_COMPLETED: frozenset(),
    ev.JOB_STATUS_FAILED: frozenset(),
    ev.JOB_STATUS_CANCELLED: frozenset(),
    ev.JOB_STATUS_SKIPPED: frozenset(),
}

BUILD_ENDS: Final = frozenset(status for status, following in BUILD_TRANSITIONS.items() if not following)
JOB_ENDS: Final = frozenset(status for status, following in JOB_TRANSITIONS.items() if not following)
# DELEGATED counts as an end although SCHEDULED may follow: a build may end while another build has the partition.
# AVAILABLE counts as one although MISSING may follow: mostly nothing is lost.
PARTITION_ENDS: Final = frozenset(
    {pt.PARTITION_STATUS_AVAILABLE, pt.PARTITION_STATUS_FAILED, pt.PARTITION_STATUS_DELEGATED}
)

_EXECUTING = frozenset({ev.BUILD_STATUS_EXECUTING})
_PLANNING_OR_EXECUTING = frozenset({ev.BUILD_STATUS_PLANNING}) | _EXECUTING
_OPEN = frozenset(BUILD_TRANSITIONS) - BUILD_ENDS - {NOTHING}
_PLANNED = frozenset({ev.BUILD_STATUS_ANALYSIS_COMPLETED, ev.BUILD_STATUS_EXECUTING})

PARTITION_STAGES: Final[dict[int, frozenset[int]]] = {
    pt.PARTITION_STATUS_REQUESTED: frozenset({ev.BUILD_STATUS_RECEIVED, ev.BUILD_STATUS_PLANNING}),
    pt.PARTITION_STATUS_SCHEDULED: _PLANNING_OR_EXECUTING,
    pt.PARTITION_STATUS_BUILDING: _EXECUTING,
    pt.PARTITION_STATUS_AVAILABLE: _EXECUTING,
    pt.PARTITION_STATUS_FAILED: _OPEN,
    pt.PARTITION_STATUS_DELEGATED: _PLANNING_OR_EXECUTING,
    pt.PARTITION_STATUS_MISSING: _PLANNING_OR_EXECUTING,
}
"""The statuses of its build in which a partition may reach a status."""

JOB_STAGES: Final[dict[int, frozenset[int]]] = {
    ev.JOB_STATUS_SCHEDULED: _EXECUTING,
    ev.JOB_STATUS_RUNNING: _EXECUTING,
    ev.JOB_STATUS_COMPLETED: _EXECUTING,
    ev.JOB_STATUS_FAILED: _EXECUTING,
    ev.JOB_STATUS_CANCELLED: _PLANNED,
    ev.JOB_STATUS_SKIPPED: _PLANNED,
}
"""The statuses of its build in which a job run may reach a status."""

_REQUIRED_RUN_STATUSES: Final[dict[int, frozenset[int]]] = {
    pt.PARTITION_STATUS_BUILDING: frozenset({ev.JOB_STATUS_RUNNING}),
    pt.PARTITION_STATUS_AVAILABLE: frozenset({ev.JOB_STATUS_RUNNING, ev.JOB_STATUS_COMPLETED}),
}
"""The statuses of its job run that a partition needs to reach a status; others need no job run."""

_ABOUT_RUNNING_JOBS: Final = frozenset({"check", "placement"})

OPERATIONS: Final = frozenset({"taint", "cancel_request", "late_result", "adoption", "missing", "removal"})
"""Kinds of events that belong to no build: each is the only event of its own id."""


REMOVALS: Final = frozenset({pt.PARTITION_STATUS_FORGOTTEN, pt.PARTITION_STATUS_DELETED})
"""The statuses of partitions whose data was removed. Only operations set them, so no build has a transition to them."""


def build_status_name(status: int) -> str:
    """Returns the name of a build status without its prefix, such as `EXECUTING`; `NOTHING` for none."""
    return statuses.BUILD.name(status) if status else "NOTHING"


def partition_status_name(status: int) -> str:
    """Returns the name of a partition status without its prefix, such as `AVAILABLE`; `NOTHING` for none."""
    return statuses.PARTITION.name(status) if status else "NOTHING"


def job_status_name(status: int) -> str:
    """Returns the name of a job status without its prefix, such as `RUNNING`; `NOTHING` for none."""
    return statuses.JOB.name(status) if status else "NOTHING"


class BuildState:
    """The state of one build, which accepts or refuses its next events.

    `advance` is atomic: if one of several events is refused, the state stays as it was before the first.
    """

    __slots__ = ("_open_jobs", "_open_partitions", "build_request_id", "jobs", "last_sequence", "partitions", "status")

    def __init__(
        self,
        build_request_id: str,
        *,
        status: int = NOTHING,
        last_sequence: int = 0,
        jobs: Iterable[tuple[str, int]] = (),
        partitions: Iterable[tuple[str, int]] = (),
    ) -> None:
        """Starts without events, or from a stored state.

        Args:
            build_request_id: The build.
            status: Its BuildStatus.
            last_sequence: The sequence number of its last event.
            jobs: The JobStatus of each of its job runs.
            partitions: The PartitionStatus of each of its partitions.
        """
        self.build_request_id = build_request_id
        self.status = status
        self.last_sequence = last_sequence
        self.jobs = dict(jobs)
        self.partitions = dict(partitions)
        # Counted, so that the terminal event of a build of many thousand tasks need not look at all of them.
        self._open_jobs = sum(status not in JOB_ENDS for status in self.jobs.values())
        self._open_partitions = sum(status not in PARTITION_ENDS for status in self.partitions.values())

    @property
    def ended(self) -> bool:
        """True if the build has its terminal event."""
        return self.status in BUILD_ENDS

    def open_jobs(self) -> list[str]:
        """Returns the job runs that have not ended."""
        return [run for run, status in self.jobs.items() if status not in JOB_ENDS] if self._open_jobs else []

    def open_partitions(self) -> list[str]:
        """Returns the partitions without a final status."""
        if not self._open_partitions:
            return []
        return [ref for ref, status in self.partitions.items() if status not in PARTITION_ENDS]

    @classmethod
    def from_records(
        cls,
        build_request_id: str,
        status: str,
        *,
        last_sequence: int,
        jobs: Iterable[tuple[str, str]],
        partitions: Iterable[tuple[str, str]],
    ) -> BuildState:
        """Returns the state of a build from its rows in the read models.

        Args:
            build_request_id: The build.
            status: The name of its status.
            last_sequence: The sequence number of its last event.
            jobs: Its job runs, each with the name of its status.
            partitions: Its partitions, each with the name of its status.

        Raises:
            ValueError: A name is not that of a status.
        """
        return cls(
            build_request_id,
            status=statuses.BUILD.number(status),
            last_sequence=last_sequence,
            jobs=((job_run_id, statuses.JOB.number(name)) for job_run_id, name in jobs),
            partitions=((ref, statuses.PARTITION.number(name)) for ref, name in partitions),
        )

    @classmethod
    def of_operation(cls, operation_id: str) -> BuildState:
        """Returns the state of an operation, which is complete with its one event."""
        return cls(operation_id, status=ev.BUILD_STATUS_COMPLETED, last_sequence=1)

    def advance(self, events: Sequence[ev.BuildEvent]) -> None:
        """Applies the next events.

        Raises:
            InvalidStateTransitionError: One of them is not allowed; the state is unchanged.
        """
        # An undo log, not a copy of the state: a batch of a few events must not cost as much as the whole build.
        before = (self.status, self.last_sequence, self._open_jobs, self._open_partitions)
        undo: list[tuple[dict[str, int], str, int]] = []
        try:
            for event in events:
                self._advance_one(event, undo)
        except InvalidStateTransitionError:
            self.status, self.last_sequence, self._open_jobs, self._open_partitions = before
            for statuses, key, status in reversed(undo):
                if status == NOTHING:
                    del statuses[key]
                else:
                    statuses[key] = status
            raise

    def _advance_one(self, event: ev.BuildEvent, undo: list[tuple[dict[str, int], str, int]]) -> None:
        if event.build_request_id != self.build_request_id:
            raise self._refusal(f"an event of {event.build_request_id!r}")
        if event.sequence != self.last_sequence + 1:
            raise self._refusal(f"event number {event.sequence} after {self.last_sequence}")
        kind = event.WhichOneof("event")
        if kind == "partition":
            self._advance_partition(event.partition, undo)
        elif kind == "job":
            self._advance_job(event.job, undo)
        elif kind == "build_request":
            self._advance_build(event.build_request)
        elif kind in OPERATIONS and self.last_sequence == 0:
            if kind == "removal" and event.removal.kind not in REMOVALS:
                raise self._refusal(f"a removal of the kind {event.removal.kind}")
            self.status = ev.BUILD_STATUS_COMPLETED
        elif kind == "job_graph":
            # During the execution, tasks are added that rebuild lost inputs.
            self._require(_PLANNING_OR_EXECUTING, "a job graph")
        elif kind == "delegation":
            self._require(_PLANNING_OR_EXECUTING, "a delegation")
        elif kind in _ABOUT_RUNNING_JOBS:
            self._require(_EXECUTING, f"a {kind}")
            run = getattr(event, kind).job_run_id
            if self.jobs.get(run, NOTHING) != ev.JOB_STATUS_RUNNING:
                raise self._refusal(f"a {kind} of job run {run!r}, which is not running")
        else:
            raise self._refusal(f"an event of kind {kind}")
        self.last_sequence += 1

    def _advance_build(self, event: ev.BuildRequestEvent) -> None:
        status = event.status
        if status not in BUILD_TRANSITIONS[self.status]:
            raise self._refusal(f"build {build_status_name(status)}")
        if status in BUILD_ENDS and (self._open_jobs or self._open_partitions):
            first = next(iter(self.open_jobs() or self.open_partitions()))
            raise InvalidStateTransitionError(f"{first!r}, which has not ended", f"build {build_status_name(status)}")
        if status == ev.BUILD_STATUS_COMPLETED and pt.PARTITION_STATUS_FAILED in self.partitions.values():
            raise InvalidStateTransitionError("a partition FAILED", "build COMPLETED")
        self.status = status

    def _advance_partition(self, event: ev.PartitionEvent, undo: list[tuple[dict[str, int], str, int]]) -> None:
        ref, status = event.ref, event.status
        current = self.partitions.get(ref, NOTHING)
        if status not in PARTITION_TRANSITIONS[current]:
            raise InvalidStateTransitionError(
                f"partition {ref!r} {partition_status_name(current)}", partition_status_name(status)
            )
        if self.status not in PARTITION_STAGES[status]:
            raise self._refusal(f"partition {ref!r} {partition_status_name(status)}")
        allowed = _REQUIRED_RUN_STATUSES.get(status)
        if allowed is not None and self.jobs.get(event.job_run_id, NOTHING) not in allowed:
            run_status = self.jobs.get(event.job_run_id, NOTHING)
            raise InvalidStateTransitionError(
                f"job run {event.job_run_id!r} {job_status_name(run_status)}",
                f"partition {ref!r} {partition_status_name(status)}",
            )
        undo.append((self.partitions, ref, current))
        self.partitions[ref] = status
        was_open = current != NOTHING and current not in PARTITION_ENDS
        self._open_partitions += (status not in PARTITION_ENDS) - was_open

    def _advance_job(self, event: ev.JobEvent, undo: list[tuple[dict[str, int], str, int]]) -> None:
        run, status = event.job_run_id, event.status
        current = self.jobs.get(run, NOTHING)
        if status not in JOB_TRANSITIONS[current]:
            raise InvalidStateTransitionError(f"job run {run!r} {job_status_name(current)}", job_status_name(status))
        if self.status not in JOB_STAGES[status]:
            raise self._refusal(f"job run {run!r} {job_status_name(status)}")
        undo.append((self.jobs, run, current))
        self.jobs[run] = status
        self._open_jobs += (status not in JOB_ENDS) - (current != NOTHING)

    def _require(self, stages: frozenset[int], requested: str) -> None:
        if self.status not in stages:
            raise self._refusal(requested)

    def _refusal(self, requested: str) -> InvalidStateTransitionError:
        return InvalidStateTransitionError(
            f"build {self.build_request_id!r} {build_status_name(self.status)}", requested
        )
