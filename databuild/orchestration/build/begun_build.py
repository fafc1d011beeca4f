"""A build that another process has begun: everything that is needed to continue it, from its events.

Only a build on an engine that keeps its job runs can be continued; the processes of other builds die with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from databuild.event_log.reads import BuildReads, PartitionReads
from databuild.executors.engines import Engines
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import Attempt, ExecutionProgress
from databuild.model.job_graph import Plan, PlannedPartition, Task
from databuild.model.job_run_id import format_job_run_id
from databuild.model.lifecycle import BuildState
from databuild.model.pacing import slices
from databuild.model.paging import read_rows
from databuild.model.plan_messages import tasks_from_messages
from databuild.orchestration.build.settings import BuildRequest
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_DONE = frozenset({pt.PARTITION_STATUS_AVAILABLE, pt.PARTITION_STATUS_DELEGATED})


class _Reads(BuildReads, PartitionReads, Protocol):
    """The reads of this module."""


class BegunBuild(NamedTuple):
    """A build whose orchestrator has died while its job runs continued.

    Attributes:
        request: The request.
        holder: The process that has died, as its lease names it.
        state: The state of the build after its last event.
        plan: Its plan, with the decisions about the partitions that it builds.
        available: The partitions that it has produced, or taken from other builds.
        progress: The state of its execution.
        running: The task and the manifest of each job run that has not ended, by job run.
        handles: The handle of each of these job runs; empty if none was recorded.
    """

    request: BuildRequest
    holder: str
    state: BuildState
    plan: Plan
    available: frozenset[str]
    progress: ExecutionProgress
    running: Mapping[str, tuple[Task, pt.Manifest]]
    handles: Mapping[str, str]


def read_begun_build(
    reader: _Reads, build_request_id: str, holder: str, *, catalog: JobCatalog, engines: Engines
) -> BegunBuild | None:
    """Returns a build that this process can continue.

    Args:
        reader: Reads the event log.
        build_request_id: The build, whose orchestrator has died.
        holder: The process that has died.
        catalog: The jobs.
        engines: The engines that this process uses.

    Returns:
        The build; None if it has to be ended: it is of another graph, or was still being planned, or its job runs died
        with it or are on an engine that this process does not use, or the code of a job that it still needs has
        changed.
    """
    record = reader.build(build_request_id)
    if record is None or record.status != "EXECUTING" or record.graph_label != catalog.graph_label:
        return None
    (first,) = reader.events(build_request_id, limit=1)
    request = BuildRequest.from_event(build_request_id, first.build_request)
    uri = request.options.executor
    engine = engines.get(uri) if engines.uses(uri) else None
    if engine is None or not engine.capabilities.survives_client:
        return None
    facts = _Facts(build_request_id)
    for event in read_rows(
        lambda after, limit: reader.events(build_request_id, after_sequence=after, limit=limit),
        key=lambda event: event.sequence,
        start=0,
    ):
        facts.add(event)
    progress = facts.progress()
    for task in facts.tasks.values():
        job = catalog.jobs.get(task.job_label)
        if task.task_id not in progress.done and (job is None or job.code_digest != facts.digests[task.job_label]):
            return None
    runs = {format_job_run_id(build_request_id, one.task.task_id, one.number): one.task for one in progress.running}
    return BegunBuild(
        request=request,
        holder=holder,
        state=facts.state,
        plan=Plan(
            graph_label=catalog.graph_label,
            requested=request.requested,
            tasks=tuple(facts.tasks.values()),
            partitions=tuple(_planned(facts, reader)),
            code_digests=facts.digests,
            versions={},
            options=request.options.planning,
            warnings=tuple(facts.warnings),  # about the request, and those of planning
        ),
        available=facts.available(progress.done),
        progress=progress,
        running={run: (task, facts.runs[run].manifest) for run, task in runs.items()},
        handles={run: facts.handles.get(run, "") for run in runs},
    )


class _Facts:
    """The facts of the events of one build."""

    def __init__(self, build_request_id: str) -> None:
        self.state = BuildState(build_request_id)
        self.tasks: dict[int, Task] = {}
        self.digests: dict[str, str] = {}
        self.runs: dict[str, ev.JobEvent] = {}
        self.handles: dict[str, str] = {}
        self.scheduled: dict[str, ev.PartitionEvent] = {}
        self.warnings: list[str] = []
        self._lost: Counter[int] = Counter()
        # The partitions that are DELEGATED to a build which is still running, and may fail.
        self._waiting: set[str] = set()

    def add(self, event: ev.BuildEvent) -> None:
        self.state.advance([event])
        kind = event.WhichOneof("event")
        if kind == "partition" and event.partition.status == pt.PARTITION_STATUS_SCHEDULED:
            self.scheduled.setdefault(event.partition.ref, event.partition)
        elif kind == "job":
            # The last event of a run that has not ended is the one with its manifest.
            self.runs[event.job.job_run_id] = event.job
            if event.job.failure.category == pt.FAILURE_CATEGORY_LOST:
                self._lost[event.job.task_id] += 1
            if event.job.status == ev.JOB_STATUS_SKIPPED:
                self._waiting.difference_update(self.tasks[event.job.task_id].config.outputs)
        elif kind == "delegation":
            refs = {ref.str for ref in event.delegation.partitions}
            self._waiting = self._waiting | refs if event.delegation.running else self._waiting - refs
        elif kind == "placement" and event.placement.handle:
            self.handles[event.placement.job_run_id] = event.placement.handle
        elif kind == "job_graph":
            self.tasks.update((task.task_id, task) for task in tasks_from_messages(event.job_graph.tasks))
            self.digests.update(event.job_graph.code_digests)
        elif kind == "build_request":
            self.warnings += event.build_request.warnings

    def available(self, done: Collection[int]) -> frozenset[str]:
        """Returns the partitions that the build has produced, and the outputs of the tasks that are done."""
        produced = {ref for ref, status in self.state.partitions.items() if status == pt.PARTITION_STATUS_AVAILABLE}
        return frozenset(produced.union(*(self.tasks[number].config.outputs for number in done)))

    def progress(self) -> ExecutionProgress:
        attempts: dict[int, int] = {}
        running = {}
        failed = set()
        for run in self.runs.values():
            # An attempt that was scheduled and has not started is made again, under the same number.
            number = run.attempt - (run.status == ev.JOB_STATUS_SCHEDULED)
            attempts[run.task_id] = max(number, attempts.get(run.task_id, 0))
            if run.status == ev.JOB_STATUS_RUNNING:
                running[run.task_id] = Attempt(self.tasks[run.task_id], run.attempt)
            elif run.status == ev.JOB_STATUS_FAILED:
                failed.add(run.task_id)
        done = set()
        failed_for_good = []
        for task in self.tasks.values():
            statuses = {self.state.partitions[ref] for ref in task.config.outputs}
            waits = not self._waiting.isdisjoint(task.config.outputs)
            if statuses <= _DONE and not waits and task.task_id not in running:
                done.add(task.task_id)
            elif task.task_id in failed and pt.PARTITION_STATUS_FAILED in statuses:
                failed_for_good.append(task)
        return ExecutionProgress(
            completed=sum(run.status == ev.JOB_STATUS_COMPLETED for run in self.runs.values()),
            done=frozenset(done),
            failed=failed_for_good,
            attempts=attempts,
            lost=self._lost,
            running=tuple(running.values()),
        )


def _planned(facts: _Facts, reader: PartitionReads) -> Iterator[PlannedPartition]:
    for refs in slices(sorted(facts.scheduled)):
        states = reader.partition_states(refs)
        for ref in refs:
            event = facts.scheduled[ref]
            version = states[ref].version if ref in states else ""
            label = facts.tasks[event.task_id].job_label
            yield PlannedPartition(ref, label, event.task_id, event.reason, event.cause, version)
