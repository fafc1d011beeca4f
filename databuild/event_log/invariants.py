"""Invariants of an event log, checked over all events in the order in which they were written.

Every transition is checked against the lifecycle, as it was before the event was written. The other invariants span
several appends: sequence numbers have no gap, everything ends before its build, a job run starts after its inputs are
available, and no two builds produce a partition at the same time. It does not know the source of the events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from databuild.errors import InvalidStateTransitionError
from databuild.model.lifecycle import BUILD_ENDS, NOTHING, OPERATIONS, BuildState
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

MAX_FAULTS_PER_BUILD: Final = 50
"""The rest of a build is not checked after this many faults: most would be consequences of the first."""

Report = Callable[[str, str], None]
"""Receives a build and a message about it."""


class Invariants:
    """Checks the events of all builds.

    Attributes:
        ended: The builds and operations whose last event has been checked.
    """

    def __init__(self, report: Report) -> None:
        self.ended: set[str] = set()
        self._report = report
        self._builds: dict[str, _Build] = {}
        self._building: dict[str, ev.BuildEvent] = {}

    def check(self, event: ev.BuildEvent) -> None:
        """Checks the next event of the log."""
        name = event.build_request_id
        if name in self.ended:
            self._report(name, f"event {event.sequence} of build {name} follows its end")
            return
        build = self._builds.get(name)
        if build is None:
            build = self._builds[name] = _Build(name, self._report)
        build.check(event)
        if event.WhichOneof("event") == "partition":
            self._check_producer(event)
        if build.ended:
            del self._builds[name]  # memory is bounded by the builds that are open at one position of the log
            self.ended.add(name)

    def _check_producer(self, event: ev.BuildEvent) -> None:
        """Checks that no other build is producing the partition, which claims and fencing tokens prevent."""
        name, partition = event.build_request_id, event.partition
        other = self._building.get(partition.ref)
        if partition.status == pt.PARTITION_STATUS_BUILDING:
            if other is not None and other.build_request_id != name:
                self._report(
                    name,
                    f"job run {partition.job_run_id} began to produce {partition.ref!r} while job run "
                    f"{other.partition.job_run_id} was producing it",
                )
            self._building[partition.ref] = event
        elif other is not None and other.build_request_id == name:
            del self._building[partition.ref]


class _Build:
    """Checks the events of one build. After a fault, it continues as if the event had been allowed."""

    def __init__(self, name: str, report: Report) -> None:
        self.ended = False
        self._name = name
        self._faults = 0
        self._report_of = report
        self._state = BuildState(name)
        self._inputs: dict[int, tuple[str, ...]] = {}
        self._task_of: dict[str, int] = {}
        self._skipped_tasks: set[int] = set()
        self._lost: set[str] = set()

    def check(self, event: ev.BuildEvent) -> None:
        """Checks the next event of the build."""
        kind = event.WhichOneof("event")
        self.ended = kind in OPERATIONS or (kind == "build_request" and event.build_request.status in BUILD_ENDS)
        if self._faults >= MAX_FAULTS_PER_BUILD:
            return
        self._check_sequence(event, kind or "")
        if self.ended and kind == "build_request":
            self._check_all_ended()
        try:
            self._state.advance([event])
        except InvalidStateTransitionError as error:
            self._report(f"event {event.sequence} of build {self._name}: {error}")
            self._force(event, kind or "")
        except ValueError as error:  # a status that has no name
            self._report(f"event {event.sequence} of build {self._name}: {error}")
            self._state.last_sequence = event.sequence
        if kind == "job":
            self._check_inputs(event.job)
        elif kind == "partition" and event.partition.status == pt.PARTITION_STATUS_MISSING:
            self._lost.add(event.partition.ref)
        elif kind == "job_graph":
            for task in event.job_graph.tasks:
                self._inputs[task.task_id] = tuple(
                    dep.partition_ref.str for dep in task.config.inputs if dep.dep_type_code == job_pb2.MATERIALIZE
                )
                self._task_of.update((ref.str, task.task_id) for ref in task.config.outputs)

    def _report(self, message: str) -> None:
        self._faults += 1
        self._report_of(self._name, message)
        if self._faults == MAX_FAULTS_PER_BUILD:
            self._report_of(self._name, f"build {self._name} has so many faults that the rest of it was not checked")

    def _check_sequence(self, event: ev.BuildEvent, kind: str) -> None:
        """Checks the sequence number, and that the first event is RECEIVED or an operation."""
        state = self._state
        expected = state.last_sequence + 1
        if event.sequence != expected:
            self._report(f"event {event.sequence} of build {self._name} stands where number {expected} should")
            state.last_sequence = event.sequence - 1
        received = kind == "build_request" and event.build_request.status == ev.BUILD_STATUS_RECEIVED
        if state.status == NOTHING and not received and kind not in OPERATIONS:
            self._report(f"the first event of build {self._name} is not RECEIVED")
            state.status = ev.BUILD_STATUS_RECEIVED

    def _check_all_ended(self) -> None:
        """Checks that all job runs and partitions have ended before the build."""
        state = self._state
        open_jobs, open_partitions = state.open_jobs(), state.open_partitions()
        for run in open_jobs:
            self._report(f"job run {run} has not ended, although its build has")
        for ref in open_partitions:
            self._report(f"partition {ref!r} has not ended in build {self._name}, although the build has")
        if open_jobs or open_partitions:
            # Without them, so that `advance` accepts the end of the build and does not report the same fault again.
            self._state = BuildState(self._name, status=state.status, last_sequence=state.last_sequence)

    def _check_inputs(self, job: ev.JobEvent) -> None:
        """Checks that inputs which the build itself produces were available before the job run started."""
        if job.status == ev.JOB_STATUS_SKIPPED:
            self._skipped_tasks.add(job.task_id)
        if job.status != ev.JOB_STATUS_RUNNING:
            return
        for ref in self._inputs.get(job.task_id, ()):
            task = self._task_of.get(ref)
            # A run that was about to start when an input of it was lost starts nevertheless.
            if task is None or ref in self._lost:
                continue
            status = self._state.partitions.get(ref, NOTHING)
            # Another build may produce the input instead; then the task is skipped.
            delegated = status == pt.PARTITION_STATUS_DELEGATED and task in self._skipped_tasks
            if not delegated and status != pt.PARTITION_STATUS_AVAILABLE:
                self._report(f"job run {job.job_run_id} ran before its input {ref!r} was available")

    def _force(self, event: ev.BuildEvent, kind: str) -> None:
        """Applies a transition that the lifecycle does not allow."""
        state = self._state
        status, jobs, partitions = state.status, dict(state.jobs), dict(state.partitions)
        if kind == "build_request":
            status = event.build_request.status
        elif kind == "job":
            jobs[event.job.job_run_id] = event.job.status
        elif kind == "partition":
            partitions[event.partition.ref] = event.partition.status
        self._state = BuildState(
            self._name,
            status=status,
            last_sequence=event.sequence,
            jobs=jobs.items(),
            partitions=partitions.items(),
        )
