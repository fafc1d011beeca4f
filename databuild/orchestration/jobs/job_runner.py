"""Runs one task once: its command line, its environment, its files, and what its end means."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from databuild.errors import OrchestrationError
from databuild.executors.executor import Executor, ProcessResult, ProcessSpec
from databuild.graph.catalog import Job
from databuild.graph.ports import RunOutcome
from databuild.model.job_graph import Task
from databuild.model.job_run_id import format_job_run_id
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.jobs.process_faults import ProcessFault, fault_of
from databuild.orchestration.jobs.reports import ReportFaultError, distrusted, parse_report
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

_NO_RESULT = ProcessResult(exit_code=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRunOutcome(RunOutcome):
    """How a job run ended, with what its process used and what it measured.

    Attributes:
        process: What is known of its process.
        metrics: What it measured.
        complete: The outputs that are complete and may be trusted although the job run failed.
    """

    process: ProcessResult = _NO_RESULT
    metrics: tuple[pt.Metric, ...] = ()
    complete: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Reported:
    outputs: frozenset[str]
    inputs: frozenset[str]
    failed_checks: list[pt.CheckResult] = field(default_factory=list)
    metrics: list[pt.Metric] = field(default_factory=list)
    fault: str = ""


class JobRunner:
    """Runs tasks of one build through an executor."""

    def __init__(
        self,
        executor: Executor,
        jobs: Mapping[str, Job],
        *,
        orchestrator: BuildOrchestrator,
        folder: str,
        working_directory: str,
        on_report: Callable[[Task, str, job_pb2.JobReport], None],
        token: Callable[[str], int],
    ) -> None:
        """Takes what all runs of the build share.

        Args:
            executor: Runs the processes.
            jobs: The jobs, by label.
            orchestrator: Of the build; traces its job runs.
            folder: An existing folder for logs and reports.
            working_directory: The working directory of the jobs.
            on_report: Told the task, the job run and each thing that it reports, while it runs.
            token: Returns the fencing token of a job run that is about to start.
        """
        self._executor = executor
        self._jobs = jobs
        self._orchestrator = orchestrator
        self._build_request_id = build_request_id = orchestrator.build_request_id
        self._folder = folder
        self._working_directory = working_directory
        self._on_report = on_report
        self._token = token
        self._trace = f"00-{_digest(build_request_id, 16)}-"

    async def run(self, task: Task, attempt: int) -> JobRunOutcome:
        """Runs a task to its end, as `Runner.run` says."""
        with self._orchestrator.with_tracing_span("databuild.job_run", job=task.job_label, attempt=attempt):
            return await self._run(task, attempt)

    async def _run(self, task: Task, attempt: int) -> JobRunOutcome:
        job = self._jobs[task.job_label]
        job_run_id = format_job_run_id(self._build_request_id, task.task_id, attempt)
        base = f"{self._folder}/{job_run_id}"
        spec = ProcessSpec(
            argv=(job.executable, "exec", *task.config.args),
            env={
                **job.environment,
                **dict(task.config.env),
                "DATABUILD_BUILD_REQUEST_ID": self._build_request_id,
                "DATABUILD_JOB_RUN_ID": job_run_id,
                "DATABUILD_JOB_LABEL": task.job_label,
                "DATABUILD_ATTEMPT": str(attempt),
                "DATABUILD_FENCING_TOKEN": str(self._token(job_run_id)),
                "DATABUILD_REPORT": base + ".report",
                "TRACEPARENT": self._orchestrator.traceparent() or self._derived_traceparent(job_run_id),
            },
            cwd=self._working_directory,
            stdout=base + ".stdout",
            stderr=base + ".stderr",
            report=base + ".report",
            timeout_seconds=job.timeout_seconds,
        )
        config = task.config
        reported = _Reported(frozenset(config.outputs), frozenset((*config.materialize, *config.query)))

        def on_line(line: bytes) -> None:
            self._reported(task, job_run_id, line, reported)

        result = await self._executor.run(spec, on_line)
        return _outcome(job, result, reported)

    def _derived_traceparent(self, job_run_id: str) -> str:
        """Returns what ties the traces of a build's jobs together where the process itself does not trace."""
        return f"{self._trace}{_digest(job_run_id, 8)}-01"

    def _reported(self, task: Task, job_run_id: str, line: bytes, reported: _Reported) -> None:
        try:
            report = parse_report(line, reported.outputs, reported.inputs)
        except ReportFaultError as fault:
            reported.fault = reported.fault or str(fault)
            return
        if report is None:
            return
        if report.HasField("metric"):
            reported.metrics.append(report.metric)
        if report.HasField("check") and distrusted(report.check, reported.outputs):
            reported.failed_checks.append(report.check)
        # Where the event log has failed, the next event of the build raises that; this is no place from which to.
        with contextlib.suppress(OrchestrationError):
            self._on_report(task, job_run_id, report)


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def _outcome(job: Job, result: ProcessResult, reported: _Reported) -> JobRunOutcome:
    fault = fault_of(result, job.timeout_seconds)
    if fault is None and reported.fault:
        fault = ProcessFault(pt.FAILURE_CATEGORY_USER, reported.fault)
    category, message, final = fault or (pt.FAILURE_CATEGORY_UNSPECIFIED, "", False)
    complete: frozenset[str] = frozenset()
    if not category and reported.failed_checks:
        category, message = pt.FAILURE_CATEGORY_USER, _check_text(reported.failed_checks)
        checked = [distrusted(check, reported.outputs) for check in reported.failed_checks]
        # What was made from an input that must not be trusted must not be either.
        if all(refs <= reported.outputs for refs in checked):
            complete = reported.outputs.difference(*checked)
    return JobRunOutcome(
        status=ev.JOB_STATUS_FAILED if category else ev.JOB_STATUS_COMPLETED,
        category=category,
        message=message,
        final=final,
        process=result,
        metrics=tuple(reported.metrics),
        complete=complete,
    )


def _check_text(failed: Sequence[pt.CheckResult]) -> str:
    check = failed[0]
    of = f" of {check.ref!r}" if check.ref else ""
    said = f": {check.message}" if check.message else ""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"the check {check.name!r}{of} did not pass{said}{more}"
