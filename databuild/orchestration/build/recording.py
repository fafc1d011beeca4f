"""Recording of an execution: claims the outputs of attempts, and writes the events of the build.

Implements `graph.ports.ExecutionObserver`. Module `claim_batch` decides about claims; the recorder writes the events
that follow from its verdicts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from databuild.event_log.coordination import Claim, ClaimRequest, Need
from databuild.graph.ports import Attempt, Ended, PendingVerdicts, Verdict
from databuild.model.job_graph import Task
from databuild.model.job_run_id import format_job_run_id
from databuild.model.lifecycle import MAY_BE_LOST, NOTHING
from databuild.orchestration.coordination.claim_batch import BatchVerdicts, ClaimBatch, claim_verdict
from databuild.orchestration.coordination.versions import Versions
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import (
    Payload,
    job_event,
    partition_available,
    partition_building,
    partition_failed,
    partition_missing,
    partition_scheduled,
    partitions_delegated,
)
from databuild.orchestration.jobs.job_runner import JobRunDetails
from databuild.orchestration.jobs.reports import tainted_by
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

_BUILDING = pt.PARTITION_STATUS_BUILDING
# The metrics of a run are in the event of its end; its progress is in no event.
_NOT_RECORDED = frozenset({"metric", "progress"})


class BuildRecorder:
    """Writes the events of an execution.

    Attributes:
        completed: The number of tasks that have completed.
        tokens: The fencing tokens of job runs that are about to start, or have not ended, by job run.
        running: The task and the manifest of each job run that is running, by job run.
    """

    def __init__(
        self,
        orchestrator: BuildOrchestrator,
        versions: Versions,
        wait_for_release: Callable[[Sequence[str]], Awaitable[None]],
        needs: Mapping[str, tuple[Need, ...]],
        *,
        log_store: str = "",
        on_engine: bool,
    ) -> None:
        """Records nothing yet.

        Args:
            orchestrator: Writes the events.
            versions: The versions of partitions during the execution.
            wait_for_release: Waits until no other live build claims any of these refs; without refs, for a moment.
            needs: The resources shared by builds that one run of a job needs, by job label.
            log_store: The URI of the place of the logs; empty for the state directory.
            on_engine: True if the jobs run on an engine.
        """
        self.completed = 0
        self.tokens: dict[str, int] = {}
        self.running: dict[str, tuple[Task, pt.Manifest]] = {}
        self._wait_for_release = wait_for_release
        self._needs = needs
        self._log_store = log_store
        self._on_engine = on_engine
        self._orchestrator = orchestrator
        self._versions = versions
        self._tainted: dict[str, set[str]] = {}
        self._short_of_resources: set[int] = set()
        self._undeclared: dict[int, dict[str, None]] = {}
        self._stopped = False
        self._prepared: dict[str, list[Payload]] = {}
        self._awaited: dict[str, asyncio.Future[None]] = {}

    def starting(self, job_run_id: str) -> Awaitable[None] | None:
        """Waits until a claimed job run is running, for one that started behind others; None for any other."""
        if job_run_id not in self.tokens or job_run_id in self.running:
            return None
        if job_run_id not in self._awaited:
            self._awaited[job_run_id] = asyncio.get_running_loop().create_future()
        return self._awaited[job_run_id]

    def resume(self, completed: int, running: Mapping[str, tuple[Task, pt.Manifest]]) -> None:
        """Continues a build of another process.

        Args:
            completed: The number of tasks that it has completed.
            running: The task and the manifest of each job run that has not ended, by job run.
        """
        self.completed = completed
        self.running.update(running)

    def claim(self, attempts: Sequence[Attempt]) -> PendingVerdicts:
        # Other runs wait in the queue of an engine meanwhile, so that no machine waits for a claim.
        return ClaimBatch(
            self._claim(attempts), lambda answers: self._judge(attempts, answers), urgent=not self._on_engine
        )

    def claim_following(self, attempts: Sequence[Attempt]) -> PendingVerdicts:
        return ClaimBatch(self._claim(attempts), lambda answers: self._judge_following(attempts, answers))

    def _claim(self, attempts: Sequence[Attempt]) -> Awaitable[Sequence[Claim]]:
        build = self._orchestrator.build_request_id
        return self._orchestrator.claim(
            [
                ClaimRequest(
                    build,
                    self._job_run_id(attempt.task, attempt.number),
                    attempt.task.config.outputs,
                    self._needs.get(attempt.task.job_label, ()),
                )
                for attempt in attempts
            ]
        )

    def wait_for_change(self, task: Task) -> Awaitable[None]:
        return self._wait_for_release(() if task.task_id in self._short_of_resources else task.config.outputs)

    def stop(self) -> None:
        """Schedules nothing more, even if pending claims are granted later."""
        self._stopped = True

    def record(self, ended: Ended | None = None, started: Attempt | None = None) -> Awaitable[None]:
        payloads: list[Payload] = []
        if ended is not None:
            if ended.started_ago is not None:
                return self._record_run(ended, ended.started_ago)
            self._end(ended, payloads)
        if started is not None:
            self._start(started, payloads)
        return self._orchestrator.emit(*payloads)

    def _record_run(self, ended: Ended, started_ago: float) -> Awaitable[None]:
        """Records the start and the end of an attempt that has completed without reports."""
        payloads = self._prepared.pop(self._job_run_id(ended.attempt.task, ended.attempt.number))
        earlier = len(payloads)
        self._end(ended, payloads, {event.ref for kind, event in payloads if kind == "partition"})
        return self._orchestrator.emit(*payloads, earlier=earlier, seconds_ago=started_ago)

    def prepare(self, attempt: Attempt) -> None:
        payloads = self._prepared[self._job_run_id(attempt.task, attempt.number)] = []
        self._start(attempt, payloads)

    def record_start(self, attempt: Attempt, seconds_ago: float) -> None:
        payloads = self._prepared.pop(self._job_run_id(attempt.task, attempt.number))
        self._orchestrator.emit(*payloads, earlier=len(payloads), seconds_ago=seconds_ago)

    def withdraw(self, attempt: Attempt) -> None:
        job_run_id = self._job_run_id(attempt.task, attempt.number)
        del self._prepared[job_run_id], self.running[job_run_id]

    def record_report(self, task: Task, job_run_id: str, report: job_pb2.JobReport) -> None:
        """Writes a report of a running job that matters to other builds: a finished partition or a check."""
        kind = report.WhichOneof("report")
        if kind == "partition":
            ref = report.partition.ref
            trusted = ref not in self._tainted.get(job_run_id, ())
            if trusted and self._orchestrator.state.partitions[ref] == _BUILDING:
                version = report.partition.content_digest or job_run_id
                self._versions.made(ref, version)
                location = report.partition.location if report.partition.HasField("location") else None
                metadata = report.partition.metadata
                available = partition_available(ref, task.task_id, job_run_id, version, metadata, location)
                self._orchestrator.emit(available)
        elif kind == "check":
            tainted = tainted_by(report.check, task.config.outputs)
            if tainted:
                self._tainted.setdefault(job_run_id, set()).update(tainted)
            refs = [pt.PartitionRef(str=ref) for ref in sorted(tainted)]
            self._orchestrator.emit(("check", ev.CheckEvent(job_run_id=job_run_id, result=report.check, tainted=refs)))
        elif kind == "missing":
            self._lose(report.missing.ref, job_run_id)
        elif kind not in _NOT_RECORDED:
            raise AssertionError(kind)

    def _lose(self, ref: str, job_run_id: str) -> None:
        """Records that a running job did not find an input, unless the input was rebuilt after the run began."""
        if self._orchestrator.state.partitions.get(ref, NOTHING) not in MAY_BE_LOST:
            return
        _, manifest = self.running[job_run_id]
        used = next((one.version for one in manifest.inputs if one.ref == ref), None)
        record = self._versions.records([ref]).get(ref)
        version = record.version if record is not None else ""
        if used is None or used == (self._versions.read(ref) or version):
            self._orchestrator.emit(partition_missing(ref, version, job_run_id))

    def add_inputs(self, task: Task, refs: Iterable[str]) -> None:
        """Adds inputs that a job has not declared to the manifests of further runs of a task, as QUERY inputs.

        They cannot make the outputs stale, since the next plan does not know that the task needs them.
        """
        declared = {*task.config.materialize, *task.config.query}
        undeclared = self._undeclared.setdefault(task.task_id, {})
        undeclared.update((ref, None) for ref in refs if ref not in declared)

    def record_unrecoverable(self, attempt: Attempt, message: str, given_up: Sequence[Task]) -> None:
        failure = pt.Failure(category=pt.FAILURE_CATEGORY_MISSING_DATA, message=message)
        payloads: list[Payload] = []
        if not attempt.number:
            payloads.append(self._job_without_run(attempt, ev.JOB_STATUS_SKIPPED, failure))
        self._fail_open(attempt.task, failure, "", payloads)
        self._give_up(attempt.task, given_up, payloads)
        self._orchestrator.emit(*payloads)

    def record_reused(self, task: Task) -> None:
        self._reuse(Attempt(task, 0), "not needed: its inputs were rebuilt to the same content")

    def _reuse(self, attempt: Attempt, message: str) -> None:
        task = attempt.task
        records = self._versions.records(task.config.outputs)
        by_build: dict[str, list[str]] = {}
        for ref in task.config.outputs:
            self._versions.made(ref, records[ref].version)
            if self._orchestrator.state.partitions[ref] != pt.PARTITION_STATUS_DELEGATED:
                by_build.setdefault(records[ref].produced_by_build_request_id, []).append(ref)
        failure = pt.Failure(category=pt.FAILURE_CATEGORY_CANCELLED, message=message)
        # In one append: after a crash between the two, the task would be neither done nor could it be skipped again.
        payloads: list[Payload] = [self._job_without_run(attempt, ev.JOB_STATUS_SKIPPED, failure)]
        own = self._orchestrator.state.partitions
        for build, refs in sorted(by_build.items()):
            payloads += partitions_delegated(build, task.job_label, refs, own, running=False)
        self._orchestrator.emit(*payloads)

    def _judge_following(self, attempts: Sequence[Attempt], claims: Sequence[Claim]) -> BatchVerdicts:
        verdicts = []
        for attempt, claim in zip(attempts, claims, strict=True):
            # The inputs of data that exists decide whether it is rebuilt. They are not known yet.
            starts = claim.token and not any(claim.versions.values()) and not self._stopped
            if starts:
                self.tokens[self._job_run_id(attempt.task, attempt.number)] = claim.token
            verdicts.append(Verdict.START if starts else Verdict.CLAIMED_ELSEWHERE)
        return BatchVerdicts(verdicts)

    def _judge(self, attempts: Sequence[Attempt], claims: Sequence[Claim]) -> BatchVerdicts:
        """Writes the events that follow from answered claims, and returns the verdicts."""
        if self._stopped:
            return BatchVerdicts([Verdict.CLAIMED_ELSEWHERE] * len(attempts))
        payloads: list[Payload] = []
        verdicts = []
        overwrites = False
        for attempt, claim in zip(attempts, claims, strict=True):
            task = attempt.task
            self._short_of_resources.discard(task.task_id)
            verdict = claim_verdict(claim, task, self._versions, self._orchestrator.state.partitions)
            verdicts.append(verdict)
            if verdict is Verdict.START:
                self._schedule(attempt, payloads)
                self.tokens[self._job_run_id(task, attempt.number)] = claim.token
                overwrites = overwrites or bool(claim.versions)
            elif verdict is Verdict.REUSED:
                self._reuse(attempt, "not needed: another build has produced its outputs meanwhile")
            elif verdict is Verdict.RESOURCES_TAKEN:
                self._short_of_resources.add(task.task_id)
            else:
                # Events of attempts before this one may be about the same partitions, so they are written first.
                self._orchestrator.emit(*payloads)
                payloads.clear()
                self._delegate(task, claim.held_by)
        # Awaited only before a run that overwrites data: it must be in the log before it starts (`BatchVerdicts`).
        written = asyncio.ensure_future(self._orchestrator.emit(*payloads))
        return BatchVerdicts(verdicts, written if overwrites else None)

    def _schedule(self, attempt: Attempt, payloads: list[Payload]) -> None:
        statuses = self._orchestrator.state.partitions
        task = attempt.task
        payloads += [
            partition_scheduled(ref, task.task_id, pt.REASON_FAILED_BEFORE)
            for ref in task.config.outputs
            if statuses[ref] == pt.PARTITION_STATUS_DELEGATED  # to a build that has not produced it
        ]
        self._schedule_run(attempt, payloads)

    def _schedule_run(self, attempt: Attempt, payloads: list[Payload]) -> None:
        # Another process may have scheduled the attempt before it died.
        if self._job_run_id(attempt.task, attempt.number) not in self._orchestrator.state.jobs:
            payloads.append(("job", self._job_event(attempt, ev.JOB_STATUS_SCHEDULED)))

    def _delegate(self, task: Task, held_by: Mapping[str, str]) -> None:
        """Writes that outputs are left to the builds that are producing them."""
        by_build: dict[str, list[str]] = {}
        for ref, build in held_by.items():
            if self._orchestrator.state.partitions[ref] == pt.PARTITION_STATUS_SCHEDULED:
                by_build.setdefault(build, []).append(ref)
        for build, refs in sorted(by_build.items()):
            self._orchestrator.emit_delegation(build, task.job_label, refs, running=True)

    def record_never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        failure = pt.Failure(
            category=pt.FAILURE_CATEGORY_CANCELLED,
            message=f"not run: the build stopped after {because.job_label} failed, and was not asked to keep going",
        )
        payloads: list[Payload] = []
        for attempt in attempts:
            payloads.append(self._job_without_run(attempt, ev.JOB_STATUS_CANCELLED, failure))
            self._fail_open(attempt.task, failure, "", payloads)
        if payloads:
            self._orchestrator.emit(*payloads)

    def _job_run_id(self, task: Task, attempt: int) -> str:
        return format_job_run_id(self._orchestrator.build_request_id, task.task_id, attempt)

    def _job_event(self, attempt: Attempt, status: ev.JobStatus, failure: pt.Failure | None = None) -> ev.JobEvent:
        task = attempt.task
        job_run_id = self._job_run_id(task, attempt.number)
        return job_event(job_run_id, task.task_id, task.job_label, status, attempt.number, failure)

    def _start(self, started: Attempt, payloads: list[Payload]) -> None:
        task = started.task
        self._schedule_run(started, payloads)  # if it followed another
        running = self._job_event(started, ev.JOB_STATUS_RUNNING)
        running.log_store = self._log_store
        manifest = running.manifest
        manifest.job_label = task.job_label
        manifest.code_digest = self._versions.code_digest(task)
        manifest.configuration_digest = task.configuration_digest
        if task.output_digests:
            manifest.output_digests.update(zip(task.config.outputs, task.output_digests, strict=True))
        # The versions at the start of the run: an input that is rebuilt meanwhile makes the outputs stale.
        versions = self._versions
        for ref in task.config.materialize:
            manifest.inputs.add(ref=ref, version=versions.read(ref))
        for ref in task.config.query:
            manifest.inputs.add(ref=ref, version=versions.read(ref), query=True)
        for ref in self._undeclared.get(task.task_id, ()):
            manifest.inputs.add(ref=ref, version=versions.read(ref), query=True)
        for ref, version in versions.available(task.config.query_prefixes).items():
            manifest.inputs.add(ref=ref, version=version, query=True)
        self.running[running.job_run_id] = (task, manifest)
        if (awaited := self._awaited.pop(running.job_run_id, None)) is not None and not awaited.done():
            awaited.set_result(None)
        payloads.append(("job", running))
        payloads += [
            partition_building(ref, task.task_id, running.job_run_id)
            for ref in task.config.outputs
            if self._orchestrator.state.partitions[ref] != pt.PARTITION_STATUS_AVAILABLE
        ]

    def _end(self, ended: Ended, payloads: list[Payload], building: Collection[str] = ()) -> None:
        """Adds the end of an attempt.

        Args:
            ended: The end.
            payloads: The payloads so far.
            building: The outputs that become BUILDING by these payloads.
        """
        task, outcome = ended.attempt.task, ended.outcome
        event = self._job_event(ended.attempt, outcome.status)
        job_run_id = event.job_run_id
        self.running.pop(job_run_id, None)
        self.tokens.pop(job_run_id, None)
        if isinstance(details := outcome.details, JobRunDetails):
            process = details.process
            event.exit_code = process.exit_code
            event.duration_seconds = process.duration_seconds
            event.cpu_seconds = process.cpu_seconds
            event.peak_memory_bytes = process.peak_memory_bytes
            event.worker_id = process.worker_id
            event.worker_request = process.worker_request
            event.metrics.extend(details.metrics)
            if details.log_sizes is not None:
                event.stdout_bytes, event.stderr_bytes = details.log_sizes
            if details.complete:
                # These outputs are complete although the run has failed, so they precede its end, which fails the rest.
                self._orchestrator.emit(*self._available(task, job_run_id, details.complete))
        payloads.append(("job", event))
        if outcome.status == ev.JOB_STATUS_COMPLETED:
            self.completed += 1
            payloads += self._available(task, job_run_id, building=building)
            return
        failure = event.failure
        failure.category = outcome.category
        failure.message = outcome.message
        if ended.retry_in_seconds is not None or ended.recovering:
            event.retried = True
            seconds = ended.retry_in_seconds
            unit = "second" if seconds == 1 else "seconds"
            when = "when the input has been rebuilt" if ended.recovering else f"in {seconds:g} {unit}"
            failure.message += f"; next attempt {when}"
            statuses = self._orchestrator.state.partitions
            payloads += [
                partition_scheduled(ref, task.task_id, pt.REASON_FAILED_BEFORE, job_run_id)
                for ref in task.config.outputs
                if statuses[ref] == _BUILDING
            ]
            return
        self._fail_open(task, failure, job_run_id, payloads)
        self._give_up(task, ended.given_up, payloads)

    def _give_up(self, task: Task, downstream: Sequence[Task], payloads: list[Payload]) -> None:
        """Adds the ends of the tasks downstream of a failed one."""
        missing_input = pt.Failure(
            category=pt.FAILURE_CATEGORY_MISSING_DATA,
            message=f"not run: {task.job_label}, which is upstream, did not produce {task.config.outputs[0]!r}",
        )
        for given_up in downstream:
            payloads.append(self._job_without_run(Attempt(given_up, 0), ev.JOB_STATUS_SKIPPED, missing_input))
            self._fail_open(given_up, missing_input, "", payloads)

    def _available(
        self, task: Task, job_run_id: str, refs: frozenset[str] | None = None, *, building: Collection[str] = ()
    ) -> list[Payload]:
        """Returns the events that complete the outputs of a task (or `refs` of them) that are not complete yet."""
        statuses = self._orchestrator.state.partitions
        outputs = task.config.outputs if refs is None else [ref for ref in task.config.outputs if ref in refs]
        completed = [ref for ref in outputs if statuses[ref] == _BUILDING or ref in building]
        for ref in completed:
            self._versions.made(ref, job_run_id)
        return [partition_available(ref, task.task_id, job_run_id) for ref in completed]

    def _job_without_run(self, attempt: Attempt, status: ev.JobStatus, failure: pt.Failure) -> Payload:
        return ("job", self._job_event(attempt, status, failure))

    def _fail_open(self, task: Task, failure: pt.Failure, job_run_id: str, payloads: list[Payload]) -> None:
        """Adds the failures of the outputs of a task that are not complete."""
        statuses = self._orchestrator.state.partitions
        payloads += [
            partition_failed(ref, failure, task.task_id, job_run_id)
            for ref in task.config.outputs
            if statuses[ref] in {_BUILDING, pt.PARTITION_STATUS_SCHEDULED}
        ]
