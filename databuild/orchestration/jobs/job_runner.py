"""Runs of tasks as processes: command line, environment, files, and the outcome from the end of the process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence

from databuild.errors import OrchestrationError
from databuild.executors.executor import (
    ENGINE_VARIABLE,
    Code,
    Executor,
    NotStartedError,
    Placement,
    ProcessResult,
    ProcessSpec,
    RemoteExecutor,
    RunQueue,
    UnconfirmedCancellationError,
)
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.ports import Attempt, RunNotEndedError, RunNotStartedError, RunOutcome, RunStart
from databuild.model.executor_uri import properties_for
from databuild.model.job_graph import Task
from databuild.model.job_run_id import format_job_run_id, parse_job_run_id
from databuild.model.trace_context import TRACEPARENT_VARIABLE, TraceContext, span_of_job_run
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.jobs.process_faults import ProcessFault, process_fault
from databuild.orchestration.jobs.reports import ReportFaultError, add_location, parse_report, tainted_by
from databuild.orchestration.jobs.task_access import TaskAccess
from databuild.orchestration.jobs.worker_spec import worker_spec
from databuild.orchestration.logs.build_logs import BuildLogs
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

_NO_RESULT = ProcessResult(exit_code=0)


class JobRunDetails(NamedTuple):
    """Details of the outcome of a job run.

    Attributes:
        process: The result of its process.
        metrics: The metrics that it reported.
        complete: The outputs that are complete and trusted although the job run has failed.
        log_sizes: The sizes of standard output and standard error, if their logs are in a store.
    """

    process: ProcessResult = _NO_RESULT
    metrics: tuple[pt.Metric, ...] = ()
    complete: frozenset[str] = frozenset()
    log_sizes: tuple[int, int] | None = None


class _Reports:
    """The reports of one run so far."""

    __slots__ = ("failed_checks", "fault", "inputs", "is_local", "metrics", "missing", "outputs")

    def __init__(self, outputs: frozenset[str], inputs: frozenset[str], *, is_local: bool) -> None:
        self.outputs = outputs
        self.inputs = inputs
        self.is_local = is_local
        self.missing: dict[str, None] = {}
        self.failed_checks: list[pt.CheckResult] = []
        self.metrics: list[pt.Metric] = []
        self.fault = ""


class JobRunner:
    """Runs tasks of one build: on an engine, or else on this machine."""

    def __init__(
        self,
        executor: Executor,
        catalog: JobCatalog,
        *,
        engine: RemoteExecutor | None,
        handles: Mapping[str, str],
        orchestrator: BuildOrchestrator,
        folder: str,
        logs: BuildLogs,
        working_directory: str,
        environment: str,
        on_report: Callable[[Task, str, job_pb2.JobReport], None],
        token: Callable[[str], int],
        tasks: TaskAccess,
        running: Mapping[str, tuple[Task, pt.Manifest]],
        is_detached: Callable[[], bool],
        trace: TraceContext,
        jobs: int,
        queue_room: Callable[[int, int], int | None],
    ) -> None:
        """Runs nothing yet.

        Args:
            executor: Runs the processes on this machine.
            catalog: The jobs.
            engine: Runs the jobs that are not always local; None to run all jobs on this machine.
            handles: The handles of job runs that another process has handed to the engine, by id.
            orchestrator: The orchestrator of the build.
            folder: An existing folder for reports.
            logs: The logs of the build, whose folder exists.
            working_directory: The working directory of the jobs.
            environment: The environment of the build; empty for the base.
            on_report: Called with the task, the id of the job run and each of its reports while it runs.
            token: Returns the fencing token of a job run that is about to start.
            tasks: Lets job runs read their task descriptions.
            running: The task and the manifest of each job run that is running, by its id.
            is_detached: Returns True to let job runs on the engine continue when they are cancelled here.
            trace: The trace of the build.
            jobs: The number of job runs that run at once.
            queue_room: Returns the number of runs that the executor lets wait; see `ProcessExecutor.queue_room`.
        """
        self._executor = executor
        self._catalog = catalog
        self._engine = engine
        self._handles = handles
        self._orchestrator = orchestrator
        self._build_request_id = orchestrator.build_request_id
        self._folder = folder
        self._logs = logs
        self._working_directory = working_directory
        self._environment = environment
        self._on_report = on_report
        self._token = token
        self._tasks = tasks
        self._running = running
        self._is_detached = is_detached
        self._trace = trace
        self._jobs = jobs
        self._queue_room = queue_room

    def queue_room(self, waiting: int) -> int | None:
        return self._queue_room(self._jobs, waiting)

    async def run_queued(self, attempt: Attempt, start: RunStart, after: Sequence[Attempt]) -> RunOutcome:
        def started(time: float, ended: bool) -> None:
            # As for reports: the next event of the build raises the error.
            with contextlib.suppress(OrchestrationError):
                start.started(time, ended)

        runs_before = [format_job_run_id(self._build_request_id, one.task.task_id, one.number) for one in after]
        queue = RunQueue(self._build_request_id, self._jobs, started, start.may_report, runs_before)
        try:
            return await self._run_logged(attempt.task, attempt.number, queue)
        except NotStartedError:
            raise RunNotStartedError from None

    async def run(self, task: Task, attempt: int) -> RunOutcome:
        return await self._run_logged(task, attempt, None)

    async def _run_logged(self, task: Task, attempt: int, queue: RunQueue | None) -> RunOutcome:
        job_run_id = format_job_run_id(self._build_request_id, task.task_id, attempt)
        self._logs.begin(job_run_id, resumed=job_run_id in self._handles)
        try:
            outcome = await self._run_anywhere(task, job_run_id, queue)
        finally:
            sizes = self._logs.end(job_run_id)
        if sizes is not None and isinstance(outcome.details, JobRunDetails):
            outcome = outcome._replace(details=outcome.details._replace(log_sizes=sizes))
        return outcome

    async def _run_anywhere(self, task: Task, job_run_id: str, queue: RunQueue | None) -> RunOutcome:
        if self._engine is not None and not self._catalog.jobs[task.job_label].always_local:
            return await self._run_on(self._engine, task, job_run_id)
        if self._tasks.socket:
            return await self._run(task, job_run_id, self._tasks.socket, queue)
        async with self._tasks.file(job_run_id) as path:
            return await self._run(task, job_run_id, path, queue)

    async def _run(self, task: Task, job_run_id: str, address: str, queue: RunQueue | None) -> RunOutcome:
        spec = self._spec(task, job_run_id, address, queue)
        reported = _Reports(frozenset(task.config.outputs), self._inputs(task, job_run_id), is_local=True)
        result = await self._executor.run(spec, lambda line: self._reported(task, job_run_id, line, reported))
        return _outcome(self._catalog.jobs[task.job_label], result, reported)

    async def _run_on(self, engine: RemoteExecutor, task: Task, job_run_id: str) -> RunOutcome:
        job = self._catalog.jobs[task.job_label]
        orchestrator = self._orchestrator
        reported = _Reports(frozenset(task.config.outputs), self._inputs(task, job_run_id), is_local=False)
        started = False

        def on_report(line: bytes) -> None:
            self._reported(task, job_run_id, line, reported)

        def on_placement(placement: Placement) -> None:
            nonlocal started
            if placement.handle and placement.handle != self._handles.get(job_run_id):
                orchestrator.emit_placement(job_run_id, executor=engine.uri, handle=placement.handle)
            if not placement.handle or placement.machine:
                started = True
                orchestrator.emit_start(job_run_id, machine=placement.machine, queued_seconds=placement.queued_seconds)

        # The start of the attempt is durable before the engine knows of it, so that a process that continues the
        # build after this one asks the engine for it, and does not start it again.
        await orchestrator.written()
        async with self._tasks.content(job_run_id) as description:
            spec = self._spec(task, job_run_id, "")
            spec = spec._replace(
                env={**spec.env, ENGINE_VARIABLE: engine.uri},
                code=self._code(job),
                task=description,
                properties=properties_for(engine.uri, {**self._catalog.exec_properties, **job.exec_properties}),
                resources=job.resources,
                is_detached=self._is_detached,
            )
            try:
                if job_run_id in self._handles:
                    result = await engine.resume(self._handles[job_run_id], spec, on_report, on_placement)
                else:
                    result = await engine.run(spec, on_report, on_placement)
            except UnconfirmedCancellationError:
                message = f"cancelled, but {engine.uri} did not confirm that it has ended"
                raise RunNotEndedError(message) from None
        if result.machine and not started:
            orchestrator.emit_start(job_run_id, machine=result.machine, queued_seconds=result.queued_seconds)
        return _outcome(job, result, reported)

    def _spec(self, task: Task, job_run_id: str, address: str, queue: RunQueue | None = None) -> ProcessSpec:
        job = self._catalog.jobs[task.job_label]
        base = f"{self._folder}/{job_run_id}"
        log = f"{self._logs.folder}/{job_run_id}"
        # A resumed run has its token already.
        token = self._token(job_run_id) if job_run_id not in self._handles else 0
        return ProcessSpec(
            argv=job.command(task.config.args),
            env={
                **run_environment(
                    job,
                    task,
                    job_run_id,
                    environment=self._environment,
                    token=token,
                    report=base + ".report",
                    address=address,
                ),
                TRACEPARENT_VARIABLE: self._trace.traceparent(span_of_job_run(job_run_id)),
            },
            cwd=self._working_directory,
            stdout=log + ".stdout",
            stderr=log + ".stderr",
            report=base + ".report",
            timeout_seconds=job.timeout_seconds,
            run_id=job_run_id,
            worker=worker_spec(job, task.config.args),
            queue=queue,
        )

    def _code(self, job: Job) -> Code | None:
        """Returns the files of a job's program; None if Bazel has not listed them, so that machines must have it."""
        if not job.code_files:
            return None
        return Code(root=self._catalog.runfiles, files=job.code_files, digest=job.code_digest)

    def _inputs(self, task: Task, job_run_id: str) -> frozenset[str]:
        """Returns the refs that a run may report about as its inputs."""
        if task.config.query_prefixes:  # found when the run was recorded
            _, manifest = self._running[job_run_id]
            return frozenset(used.ref for used in manifest.inputs)
        return frozenset((*task.config.materialize, *task.config.query))

    def _reported(self, task: Task, job_run_id: str, line: bytes, reported: _Reports) -> None:
        try:
            report = parse_report(line, reported.outputs, reported.inputs)
        except ReportFaultError as fault:
            reported.fault = reported.fault or str(fault)
            return
        if report is None:
            return
        if report.HasField("partition") and reported.is_local:
            add_location(report.partition, self._working_directory)
        if report.HasField("metric"):
            reported.metrics.append(report.metric)
        if report.HasField("missing"):
            reported.missing[report.missing.ref] = None
        if report.HasField("check") and tainted_by(report.check, reported.outputs):
            reported.failed_checks.append(report.check)
        # This is a callback of the executor, to which an error of the event log must not propagate. The next event of
        # the build raises the same error.
        with contextlib.suppress(OrchestrationError):
            self._on_report(task, job_run_id, report)


def run_environment(
    job: Job, task: Task, job_run_id: str, *, environment: str, token: int, report: str, address: str
) -> dict[str, str]:
    """Returns the variables of a job run.

    Args:
        job: The job.
        task: The task that the job run executes.
        job_run_id: The id of the job run.
        environment: The environment that it belongs to; empty for the base.
        token: Its fencing token; 0 if no other run can overtake it.
        report: The file to which it may append reports.
        address: The socket or the file with its task description.
    """
    build_request_id, _, attempt = parse_job_run_id(job_run_id)
    return {
        **job.environment,
        **dict(task.config.env),
        "DATABUILD_BUILD_REQUEST_ID": build_request_id,
        "DATABUILD_JOB_RUN_ID": job_run_id,
        "DATABUILD_JOB_LABEL": task.job_label,
        "DATABUILD_ATTEMPT": str(attempt),
        "DATABUILD_ENVIRONMENT": environment,
        "DATABUILD_FENCING_TOKEN": str(token),
        "DATABUILD_REPORT": report,
        "DATABUILD_TASK": address,
    }


def _outcome(job: Job, result: ProcessResult, reported: _Reports) -> RunOutcome:
    # A missing input explains the failure of the process, and that explains more than an invalid report or a failed
    # check.
    fault = _missing_fault(reported.missing) or process_fault(result, job.timeout_seconds)
    if fault is None and reported.fault:
        fault = ProcessFault(pt.FAILURE_CATEGORY_USER, reported.fault)
    category, message, permanent = fault or (pt.FAILURE_CATEGORY_UNSPECIFIED, "", False)
    complete: frozenset[str] = frozenset()
    if not category and reported.failed_checks:
        category, message = pt.FAILURE_CATEGORY_USER, _check_text(reported.failed_checks)
        checked = [tainted_by(check, reported.outputs) for check in reported.failed_checks]
        # If an input did not pass its check, no output is trusted. Else the outputs without a failed check are.
        if all(refs <= reported.outputs for refs in checked):
            complete = reported.outputs.difference(*checked)
    return RunOutcome(
        status=ev.JOB_STATUS_FAILED if category else ev.JOB_STATUS_COMPLETED,
        category=category,
        message=message,
        permanent=permanent,
        missing=tuple(reported.missing),
        details=JobRunDetails(process=result, metrics=tuple(reported.metrics), complete=complete),
    )


def _missing_fault(refs: Collection[str]) -> ProcessFault | None:
    if not refs:
        return None
    inputs = "the input" if len(refs) == 1 else "the inputs"
    message = f"{inputs} {', '.join(map(repr, refs))} {'is' if len(refs) == 1 else 'are'} missing"
    return ProcessFault(pt.FAILURE_CATEGORY_MISSING_DATA, message)


def _check_text(failed: Sequence[pt.CheckResult]) -> str:
    check = failed[0]
    of = f" of {check.ref!r}" if check.ref else ""
    detail = f": {check.message}" if check.message else ""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"the check {check.name!r}{of} did not pass{detail}{more}"
