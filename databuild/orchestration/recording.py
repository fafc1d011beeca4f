"""Turns what happens while a job graph is executed into events of the build.

Fits the observer that execution asks for; knows the events, and does not decide what runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from databuild.graph.execution import Attempt, Ended
from databuild.model.job_graph import Plan, Task
from databuild.model.records import PartitionRecord
from databuild.orchestration.job_runner import JobRunOutcome
from databuild.orchestration.orchestrator import (
    BuildOrchestrator,
    Payload,
    partition_available,
    partition_scheduled,
)
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

_BUILDING = pt.PARTITION_STATUS_BUILDING


class BuildRecorder:
    """Writes the events of an execution, and remembers the versions that it makes.

    Attributes:
        completed: How many tasks have completed.
    """

    def __init__(
        self,
        orchestrator: BuildOrchestrator,
        records: Callable[[Sequence[str]], Mapping[str, PartitionRecord]],
    ) -> None:
        """Takes the build.

        Args:
            orchestrator: Writes the events.
            records: Returns what is known now of partitions, by ref.
        """
        self.completed = 0
        self._orchestrator = orchestrator
        self._records = records
        self._code_digests: Mapping[str, str] = {}
        self._versions: dict[str, str] = {}
        self._cut_off: set[str] = set()

    def start(self, plan: Plan) -> None:
        """Takes what is executed."""
        self._code_digests = plan.code_digests
        self._versions = dict(plan.versions)
        self._cut_off = {partition.ref for partition in plan.partitions if partition.reason == pt.REASON_INPUT_CHANGED}

    def moved_on(
        self, ended: Ended | None = None, started: Attempt | None = None, scheduled: Sequence[Attempt] = ()
    ) -> Awaitable[None]:
        """Writes the end of one job run, the start of another and what is to start soon in one append."""
        payloads: list[Payload] = []
        if ended is not None:
            self._end(ended, payloads)
        if started is not None:
            self._start(started, payloads)
        for attempt in scheduled:
            event = self._job_event(attempt, ev.JOB_STATUS_SCHEDULED)
            event.outputs.extend(attempt.task.config.outputs)
            payloads.append(("job", event))
        return self._orchestrator.emit(*payloads)

    def reported(self, task: Task, job_run_id: str, report: job_pb2.JobReport) -> None:
        """Writes what a running job reports and what matters to others: finished partitions and checks."""
        kind = report.WhichOneof("report")
        if kind == "partition":
            ref = report.partition.ref
            if self._orchestrator.state.partitions[ref] == _BUILDING:
                version = report.partition.content_digest or job_run_id
                self._versions[ref] = version
                event = partition_available(ref, task.task_id, job_run_id, version)
                event[1].metadata.CopyFrom(report.partition.metadata)
                self._orchestrator.emit(event)
        elif kind == "check":
            self._orchestrator.emit(("check", ev.CheckEvent(job_run_id=job_run_id, result=report.check)))

    def needed(self, task: Task) -> bool:
        """Whether a task still has to run: not if only inputs would have made it, and they ended as they were."""
        outputs = task.config.outputs
        if not self._cut_off.issuperset(outputs):
            return True
        records = self._records(outputs)
        for ref in outputs:
            record = records.get(ref)
            if record is None or record.manifest is None or not record.available:
                return True
            for known in record.manifest.inputs:
                if not known.query and self._versions.get(known.ref) != known.version:
                    return True
        return False

    def reused(self, task: Task) -> None:
        """Writes that a task need not run: its outputs are left to the builds that produced them."""
        records = self._records(task.config.outputs)
        by_build: dict[str, list[str]] = {}
        for ref in task.config.outputs:
            by_build.setdefault(records[ref].produced_by_build_request_id, []).append(ref)
            self._versions[ref] = records[ref].version
        why = pt.Failure(
            category=pt.FAILURE_CATEGORY_CANCELLED, message="not needed: its inputs were rebuilt to the same content"
        )
        self._orchestrator.emit(self._unrun(Attempt(task, 0), ev.JOB_STATUS_SKIPPED, why))
        for build, refs in sorted(by_build.items()):
            self._orchestrator.emit_delegation(build, task.job_label, refs)

    def never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        """Writes that tasks will not run, since a failure stopped the build."""
        why = pt.Failure(
            category=pt.FAILURE_CATEGORY_CANCELLED,
            message=f"not run: the build stopped after {because.job_label} failed; --keep_going would run it",
        )
        payloads: list[Payload] = []
        for attempt in attempts:
            payloads.append(self._unrun(attempt, ev.JOB_STATUS_CANCELLED, why))
            self._fail_open(attempt.task, why, "", payloads)
        if payloads:
            self._orchestrator.emit(*payloads)

    def _job_run_id(self, task: Task, attempt: int) -> str:
        return f"{self._orchestrator.build_request_id}.{task.task_id}.{attempt}"

    def _job_event(self, attempt: Attempt, status: ev.JobStatus) -> ev.JobEvent:
        task = attempt.task
        job_run_id = self._job_run_id(task, attempt.number)
        return self._orchestrator.job_event(job_run_id, task.task_id, task.job_label, status, attempt.number)

    def _start(self, started: Attempt, payloads: list[Payload]) -> None:
        task = started.task
        running = self._job_event(started, ev.JOB_STATUS_RUNNING)
        manifest = running.manifest
        manifest.job_label = task.job_label
        manifest.code_digest = self._code_digests.get(task.job_label, "")
        manifest.configuration_digest = task.configuration_digest
        versions = self._versions
        for ref in task.config.materialize:
            manifest.inputs.add(ref=ref, version=versions.get(ref, ""))
        for ref in task.config.query:
            manifest.inputs.add(ref=ref, version=versions.get(ref, ""), query=True)
        payloads.append(("job", running))
        payloads += [
            (
                "partition",
                ev.PartitionEvent(ref=ref, status=_BUILDING, task_id=task.task_id, job_run_id=running.job_run_id),
            )
            for ref in task.config.outputs
            if self._orchestrator.state.partitions[ref] != pt.PARTITION_STATUS_AVAILABLE
        ]

    def _end(self, ended: Ended, payloads: list[Payload]) -> None:
        task, outcome = ended.attempt.task, ended.outcome
        event = self._job_event(ended.attempt, outcome.status)
        job_run_id = event.job_run_id
        if isinstance(outcome, JobRunOutcome):
            process = outcome.process
            event.exit_code = process.exit_code
            event.duration_seconds = process.duration_seconds
            event.cpu_seconds = process.cpu_seconds
            event.peak_memory_bytes = process.peak_memory_bytes
            event.metrics.extend(outcome.metrics)
        payloads.append(("job", event))
        if outcome.status == ev.JOB_STATUS_COMPLETED:
            self.completed += 1
            statuses = self._orchestrator.state.partitions
            for ref in task.config.outputs:
                if statuses[ref] == _BUILDING:
                    self._versions[ref] = job_run_id
                    payloads.append(partition_available(ref, task.task_id, job_run_id))
            return
        why = event.failure
        why.category = outcome.category
        why.message = outcome.message
        if ended.retry_in_seconds is not None:
            why.message += f"; next attempt in {ended.retry_in_seconds:g} seconds"
            statuses = self._orchestrator.state.partitions
            payloads += [
                partition_scheduled(ref, task.task_id, pt.REASON_FAILED_BEFORE, job_run_id)
                for ref in task.config.outputs
                if statuses[ref] == _BUILDING
            ]
            return
        self._fail_open(task, why, job_run_id, payloads)
        missing = pt.Failure(
            category=pt.FAILURE_CATEGORY_MISSING_DATA,
            message=f"not run: {task.job_label}, which is upstream, did not produce {task.config.outputs[0]!r}",
        )
        for given_up in ended.given_up:
            payloads.append(self._unrun(Attempt(given_up, 0), ev.JOB_STATUS_SKIPPED, missing))
            self._fail_open(given_up, missing, "", payloads)

    def _unrun(self, attempt: Attempt, status: ev.JobStatus, why: pt.Failure) -> Payload:
        event = self._job_event(attempt, status)
        event.failure.CopyFrom(why)
        return ("job", event)

    def _fail_open(self, task: Task, why: pt.Failure, job_run_id: str, payloads: list[Payload]) -> None:
        """Fails the outputs of a task that have no end yet."""
        statuses = self._orchestrator.state.partitions
        payloads += [
            (
                "partition",
                ev.PartitionEvent(
                    ref=ref,
                    status=pt.PARTITION_STATUS_FAILED,
                    task_id=task.task_id,
                    job_run_id=job_run_id,
                    failure=why,
                ),
            )
            for ref in task.config.outputs
            if statuses[ref] in {_BUILDING, pt.PARTITION_STATUS_SCHEDULED}
        ]
