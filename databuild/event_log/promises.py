"""What the events of a log promise, checked one event after the other in the order in which they were written.

The lifecycle judges every move, as it did before the move was written; the rest of this is what no single append can
show: numbers without a gap, ends, causes before effects, and no partition in two hands at once. It does not know where
events come from.
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
"""After so many broken promises, the rest of a build's events is not judged: each would be a consequence."""

Tell = Callable[[str, str], None]
"""Takes a build and a sentence about it."""


class Promises:
    """Judges the events of all builds.

    Attributes:
        ended: The builds, and operations, whose last event was there.
    """

    def __init__(self, tell: Tell) -> None:
        """Takes whom to tell of what is broken."""
        self.ended: set[str] = set()
        self._tell = tell
        self._builds: dict[str, _Build] = {}
        self._building: dict[str, ev.BuildEvent] = {}

    def judge(self, event: ev.BuildEvent) -> None:
        """Takes the next event of the log."""
        name = event.build_request_id
        if name in self.ended:
            self._tell(name, f"event {event.sequence} of build {name} follows its end")
            return
        build = self._builds.get(name)
        if build is None:
            build = self._builds[name] = _Build(name, self._tell)
        build.judge(event)
        if event.WhichOneof("event") == "partition":
            self._judge_producer(event)
        if build.ended:
            del self._builds[name]
            self.ended.add(name)

    def _judge_producer(self, event: ev.BuildEvent) -> None:
        """Checks that nobody else is producing the partition; claims keep builds from it, and tokens the dead."""
        name, partition = event.build_request_id, event.partition
        other = self._building.get(partition.ref)
        if partition.status == pt.PARTITION_STATUS_BUILDING:
            if other is not None and other.build_request_id != name:
                self._tell(
                    name,
                    f"job run {partition.job_run_id} began to produce {partition.ref!r} while job run "
                    f"{other.partition.job_run_id} was producing it",
                )
            self._building[partition.ref] = event
        elif other is not None and other.build_request_id == name:
            del self._building[partition.ref]


class _Build:
    """Judges the events of one build, and goes on after what is broken as if it had been right."""

    def __init__(self, name: str, tell: Tell) -> None:
        self.ended = False
        self._name = name
        self._told = 0
        self._tell_of = tell
        self._state = BuildState(name)
        self._inputs: dict[int, tuple[str, ...]] = {}
        self._task_of: dict[str, int] = {}
        self._unneeded: set[int] = set()

    def judge(self, event: ev.BuildEvent) -> None:
        """Takes the next event of the build."""
        kind = event.WhichOneof("event")
        self.ended = kind in OPERATIONS or (kind == "build_request" and event.build_request.status in BUILD_ENDS)
        if self._told >= MAX_FAULTS_PER_BUILD:
            return
        self._judge_place(event, kind or "")
        if self.ended and kind == "build_request":
            self._judge_ends()
        try:
            self._state.advance([event])
        except InvalidStateTransitionError as error:
            self._tell(f"event {event.sequence} of build {self._name}: {error}")
            self._go_on_after(event, kind or "")
        except ValueError as error:  # a status that has no name
            self._tell(f"event {event.sequence} of build {self._name}: {error}")
            self._state.last_sequence = event.sequence
        if kind == "job":
            self._judge_causes(event.job)
        elif kind == "job_graph":
            for task in event.job_graph.tasks:
                self._inputs[task.task_id] = tuple(
                    one.partition_ref.str for one in task.config.inputs if one.dep_type_code == job_pb2.MATERIALIZE
                )
                self._task_of.update((ref.str, task.task_id) for ref in task.config.outputs)

    def _tell(self, sentence: str) -> None:
        self._told += 1
        self._tell_of(self._name, sentence)
        if self._told == MAX_FAULTS_PER_BUILD:
            self._tell_of(self._name, f"so much is wrong with build {self._name} that the rest of it was not judged")

    def _judge_place(self, event: ev.BuildEvent, kind: str) -> None:
        """Checks the number of the event, and that the first is the build received."""
        state = self._state
        expected = state.last_sequence + 1
        if event.sequence != expected:
            self._tell(f"event {event.sequence} of build {self._name} stands where number {expected} should")
            state.last_sequence = event.sequence - 1
        received = kind == "build_request" and event.build_request.status == ev.BUILD_STATUS_RECEIVED
        if state.status == NOTHING and not received and kind not in OPERATIONS:
            self._tell(f"the first event of build {self._name} is no RECEIVED")
            state.status = ev.BUILD_STATUS_RECEIVED

    def _judge_ends(self) -> None:
        """Checks that everything has an end now that the build has one."""
        state = self._state
        open_jobs, open_partitions = state.open_jobs(), state.open_partitions()
        for run in open_jobs:
            self._tell(f"job run {run} has no end, although its build has")
        for ref in open_partitions:
            self._tell(f"partition {ref!r} has no end in build {self._name}, although the build has")
        if open_jobs or open_partitions:
            self._state = BuildState(self._name, status=state.status, last_sequence=state.last_sequence)

    def _judge_causes(self, job: ev.JobEvent) -> None:
        """Checks that what a job run reads and its build makes was there before it ran."""
        if job.status == ev.JOB_STATUS_SKIPPED:
            self._unneeded.add(job.task_id)
        if job.status != ev.JOB_STATUS_RUNNING:
            return
        for ref in self._inputs.get(job.task_id, ()):
            task = self._task_of.get(ref)
            if task is None:
                continue
            status = self._state.partitions.get(ref, NOTHING)
            left = status == pt.PARTITION_STATUS_DELEGATED and task in self._unneeded
            if not left and status != pt.PARTITION_STATUS_AVAILABLE:
                self._tell(f"job run {job.job_run_id} ran before its input {ref!r} was available")

    def _go_on_after(self, event: ev.BuildEvent, kind: str) -> None:
        """Makes a move that the lifecycle forbids."""
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
