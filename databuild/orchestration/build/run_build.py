"""`run_build`, the one function that runs a build from request to result, for all callers."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import (
    CoordinationError,
    DataBuildError,
    ExecutorError,
    InvalidRequestError,
    InvalidStateTransitionError,
    OrchestrationError,
    PlanChangedError,
    ProcessesLeftError,
)
from databuild.event_log.coordination import LeaseOwner
from databuild.executors.executor import RemoteExecutor
from databuild.graph.plan_changes import changes_since
from databuild.graph.ports import PartitionRecords
from databuild.graph.reasons import absent_inputs_warning
from databuild.model.build_options import PlanOptions
from databuild.model.build_request_id import check_build_request_id
from databuild.model.job_graph import Plan, Task
from databuild.model.lifecycle import MAY_BE_LOST, NOTHING, BuildState
from databuild.model.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.model.trace_context import TRACEPARENT_VARIABLE, span_of_planning, trace_of_build
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.cancellation import Cancellation, run_to_end
from databuild.orchestration.build.data_checks import job_look
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.recording import BuildRecorder
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.coordination.late_results import raise_if_overtaken
from databuild.orchestration.coordination.versions import Versions
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import partition_missing
from databuild.orchestration.events.plan_events import emit_plan
from databuild.orchestration.jobs.config_process import ConfigCalls
from databuild.orchestration.jobs.resources import Resources
from databuild.orchestration.logs.build_logs import BuildLogs, LogsInStateDirectory, LogsInStore
from databuild.orchestration.logs.log_files import has_unstored
from databuild.orchestration.stores.used_data import UsedData
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.graph.execution import ExecutionResult
    from databuild.orchestration.build.begun_build import BegunBuild
    from databuild.orchestration.jobs.job_runner import JobRunner
    from databuild.orchestration.jobs.task_access import TaskAccess

_MAX_ENGINE_PAUSE_SECONDS: Final = 30.0


async def run_build(request: BuildRequest, context: BuildContext) -> BuildResult:
    """Builds the requested partitions and writes every fact of the build to the event log.

    To cancel the build, cancel the awaiting task: the process groups of its jobs end, and the result is Cancelled; its
    author is the message of the cancellation.

    Raises:
        InvalidRequestError: The request cannot be met; the build has FAILED, or does not exist if its id or the
            number of its jobs is invalid.
        JobConfigurationError: A job's `config` failed; the build has FAILED.
        ExecutorError: The engine cannot be used; the build has FAILED.
        LookupFaultError: The graph's lookup failed; the build has FAILED.
        PlanChangedError: The request's plan is out of date; the build has FAILED.
        ProcessesLeftError: Processes of a dead build cannot be ended; the build has FAILED.
        OrchestrationError: DataBuild itself failed; the event log may have no end of the build.
    """
    check_build_request_id(request.build_request_id)
    engine = context.engines.get(request.options.executor)
    # On an engine, 0 means as many as it runs at once.
    if request.options.jobs < (1 if engine is None else 0):
        raise InvalidRequestError(f"jobs is {request.options.jobs}; at least one job run must be allowed at once")
    return await _Build(request, context, engine).run()


async def continue_build(begun: BegunBuild, context: BuildContext) -> BuildResult:
    """Continues a build on an engine whose orchestrator has died: the same build, with the same events to its end.

    Raises:
        CoordinationError: Another process continues it already.
        ExecutorError: The engine cannot be used; the build has FAILED.
        OrchestrationError: DataBuild itself failed; the event log may have no end of the build.
    """
    engine = context.engines.get(begun.request.options.executor)
    return await _Build(begun.request, context, engine, begun).run()


class _Build:
    def __init__(
        self,
        request: BuildRequest,
        context: BuildContext,
        engine: RemoteExecutor | None,
        begun: BegunBuild | None = None,
    ) -> None:
        self._request = request
        self._context = context
        self._engine = engine
        self._begun = begun
        owner = context.admission.lease_owner
        if engine is not None and owner is None:
            # Another process may continue the build; this one must notice if that happens while it lives.
            owner = LeaseOwner("")
        if begun is not None:
            owner = LeaseOwner(owner.name if owner is not None else "", begun.holder)
        self._taken_over = owner is not None and bool(owner.previous_holder)
        self._warnings = list(request.warnings if begun is None else begun.plan.warnings)
        state = begun.state if begun is not None else None
        if state is None and self._taken_over:
            state = _received(request)
        self._reader = context.event_log.reader()
        self._folder = f"{context.settings.log_directory}/{request.build_request_id}"
        self._logs = _logs(request, context, self._folder)
        self._orchestrator = BuildOrchestrator(
            context.event_log,
            request.build_request_id,
            request.requested,
            clock=context.clock,
            on_event=context.on_event,
            state=state,
        )
        self._trace = trace_of_build(request.build_request_id, request.traceparent)
        self._config_calls = ConfigCalls()
        self._config_env = {
            "DATABUILD_BUILD_REQUEST_ID": request.build_request_id,
            TRACEPARENT_VARIABLE: self._trace.traceparent(span_of_planning(request.build_request_id)),
        }
        self._coordination = Coordination(
            context.event_log,
            self._reader,
            context.executor,
            request.build_request_id,
            clock=context.clock,
            lease_seconds=context.settings.lease_seconds,
            poll_seconds=context.settings.claim_poll_seconds,
            lease_owner=owner,
            liveness=context.liveness,
            continue_build=context.continue_build,
        )
        self._cancellation = Cancellation(
            self._reader, request.build_request_id, poll_seconds=context.settings.cancel_poll_seconds
        )
        self._resources = Resources(context.catalog, on_engine=engine is not None)
        self._used_data = UsedData(
            self._reader,
            request.options.verify,
            max_age_seconds=context.settings.input_check_seconds,
            lost=self._record_losses,
            extensions=context.catalog.extensions,
            jobs=job_look(context.catalog, self._reader, context.executor, context.settings, self._config_env),
        )
        self._versions = Versions(self._reader, self._used_data.changes)
        self._recorder = BuildRecorder(
            self._orchestrator,
            self._versions,
            self._coordination.wait_for_release,
            self._resources.shared,
            log_store=self._logs.log_store,
            on_engine=engine is not None,
        )

    async def run(self) -> BuildResult:
        try:
            return await self._run()
        except (CoordinationError, InvalidStateTransitionError):
            await self._orchestrator.settled()
            await raise_if_overtaken(
                self._context.event_log,
                self._request.build_request_id,
                self._orchestrator.refused_events,
                self._context.clock(),
            )
            # After an event that could not be written, later events are refused as out of order, and that error may
            # arrive first. `emit` raises the error of the first event, which is the cause.
            if self._orchestrator.refused_events:
                self._orchestrator.emit()
            raise

    async def _run(self) -> BuildResult:
        result: BuildResult
        try:
            await self._start()
            async with self._coordination.renewing_lease():
                await self._wait_for_admission()
                async with self._cancellation.on_request():
                    result = await self._work()
        except asyncio.CancelledError as cancelled:
            author = self._cancellation.accept(cancelled)
            await run_to_end(self._taint_users_of_changed_data(), name="changed inputs")
            result = Cancelled(jobs_completed=self._recorder.completed, author=author)
        except ProcessesLeftError as error:
            await self._end(Failed(category=pt.FAILURE_CATEGORY_INFRASTRUCTURE, message=str(error)))
            raise
        except OrchestrationError:
            raise  # the event log or the coordination failed, so this build writes no end
        except DataBuildError as error:
            await self._end(_failure_of(error))
            raise
        except Exception as error:
            message = f"an error of DataBuild itself: {type(error).__name__}: {error}"
            await self._end(Failed(category=pt.FAILURE_CATEGORY_INFRASTRUCTURE, message=message))
            raise
        finally:
            # Claims may still be granted while the build ends. Their attempts must not be scheduled any more.
            self._recorder.stop()
            self._reader.close()
        await self._end(result)
        return result

    async def _wait_for_admission(self) -> None:
        # The first events are durable now, so a service may answer the submission.
        self._context.admission.received()
        if author := await self._context.admission.admit():
            self._cancellation.cancel(author)

    async def _work(self) -> BuildResult:
        _make_folder(self._folder)
        if self._logs.folder != self._folder:
            _make_folder(self._logs.folder)
        if self._begun is not None:
            return await self._execute(self._begun.plan)
        await self._coordination.end_dead_builds()
        if self._context.log_uploads is not None and has_unstored(self._context.settings.log_directory):
            self._context.log_uploads().take_over(self._reader)
        plan = await self._plan()
        result = await self._execute(plan)
        await self._taint_users_of_changed_data()
        self._warn_of_absent_inputs(plan)
        if self._context.settings.environment:
            await self._warn_of_replaced_data(plan)
        return result

    async def _taint_users_of_changed_data(self) -> None:
        """Taints what tasks have made from inputs that changed in their store while the build ran."""
        if changed := await self._used_data.changed_meanwhile():
            from databuild.orchestration.stores.unrecorded import taints_of_users

            await self._orchestrator.settled()
            build = self._request.build_request_id
            for taint in taints_of_users(self._reader, changed, build, clock=self._context.clock):
                await self._context.event_log.append([taint])

    def _warn_of_absent_inputs(self, plan: Plan) -> None:
        """Adds a warning about QUERY inputs that were absent when planned and still are after the execution."""
        if plan.absent_inputs:
            records = self._reader.partition_records([absent.ref for absent in plan.absent_inputs])
            still_absent = [
                absent
                for absent in plan.absent_inputs
                if absent.ref not in records or not records[absent.ref].available
            ]
            self._warnings += absent_inputs_warning(still_absent)

    async def _warn_of_replaced_data(self, plan: Plan) -> None:
        """Adds a warning about jobs that wrote to the places of the base instead of those of the environment."""
        from databuild.event_log.overlay.reader import OverlayReader
        from databuild.orchestration.stores.replaced_places import replaced_places_warning

        if isinstance(self._reader, OverlayReader):
            await self._orchestrator.settled()
            refs = [ref for task in plan.tasks for ref in task.config.outputs]
            environment = self._context.settings.environment
            self._warnings += replaced_places_warning(self._reader, refs, environment)

    async def _start(self) -> None:
        request = self._request
        renewed = self._coordination.renew()  # in one transaction with the first events
        if self._taken_over:
            await renewed
            return
        await self._orchestrator.start_build(
            graph_label=self._context.catalog.graph_label,
            options=request.options.to_message(),
            retry_of=request.retry_of,
            downstream_of=request.downstream_of,
            warnings=request.warnings,
            environment=self._context.settings.environment,
            origin=self._context.settings.origin,
            traceparent=request.traceparent,
            bazel_invocation_id=self._context.settings.bazel_invocation_id,
        )

    async def _end(self, result: BuildResult) -> None:
        """Writes the end of the build. A cancellation that arrives meanwhile is too late."""

        async def write() -> None:
            if self._logs.log_store:
                async with self._coordination.renewing_lease():
                    self._warnings += await self._logs.finish()
            calls = self._config_calls.take()
            # A task that started later may have found more data that cannot be read.
            warnings = [*self._warnings, *self._used_data.warnings()]
            await self._orchestrator.complete_build(result, warnings=warnings, config_calls=calls)

        await run_to_end(write(), name="end-of-build")

    async def _plan(self) -> Plan:
        request = self._request
        await self._orchestrator.start_planning()
        plan = await self._used_data.plan(
            lambda: self._make_plan(request.requested, request.options.planning, self._reader)
        )
        self._warnings += plan.warnings
        if request.plan is not None and (differences := changes_since(request.plan, plan)):
            raise PlanChangedError(differences)
        if self._engine is None and not self._jobs_with_workers():
            self._context.executor.expect_runs(self._concurrency()[0], len(plan.tasks))
        await emit_plan(self._orchestrator, plan)
        warnings = (*plan.warnings, *self._used_data.warnings())
        self._orchestrator.complete_planning(warnings, self._config_calls.take())
        return plan

    async def _record_losses(self, versions: Mapping[str, str]) -> None:
        statuses = self._orchestrator.state.partitions
        lost = [
            partition_missing(ref, version)
            for ref, version in sorted(versions.items())
            if statuses.get(ref, NOTHING) in MAY_BE_LOST
        ]
        if lost:
            await self._orchestrator.emit(*lost)

    async def _make_plan(self, requested: Sequence[str], options: PlanOptions, records: PartitionRecords) -> Plan:
        return await make_plan(
            requested,
            catalog=self._context.catalog,
            reader=self._used_data.records(records),
            executor=self._context.executor,
            settings=self._context.settings,
            options=options,
            env=self._config_env,
            on_config_call=self._config_calls.add,
            observer=self._context.planning,
            past=self._reader,
        )

    async def _execute(self, plan: Plan) -> BuildResult:
        if self._begun is not None:
            self._versions.resume(plan, self._begun.available)
            self._recorder.resume(self._begun.progress.completed, self._begun.running)
        else:
            await self._orchestrator.start_execution()
            self._versions.start(plan)
        if not plan.tasks:
            return Success(jobs_completed=0)
        with self._context.executor.guarded(self._request.build_request_id):
            return await self._execute_tasks(plan)

    async def _execute_tasks(self, plan: Plan) -> BuildResult:
        from databuild.orchestration.jobs.task_access import TaskAccess
        from databuild.orchestration.jobs.task_descriptions import TaskDescriptions

        if self._engine is not None:
            await self._connect(self._engine)
        descriptions = TaskDescriptions(
            self._context.catalog,
            self._reader,
            self._recorder.running,
            self._recorder.starting,
            self._orchestrator.settled,
        )
        async with TaskAccess(descriptions.describe, self._folder).serving() as tasks:
            return await self._run_tasks(plan, tasks)

    def _may_follow(self, tasks: TaskAccess, task: Task) -> bool:
        """Returns True if a task has to run whatever its inputs become, and needs no look at anything before."""
        return (
            self._engine is None
            and bool(tasks.socket)  # a file would have to be written before it starts
            and not task.config.query_prefixes
            and self._versions.never_made(task)
            and not self._used_data.is_due(task)
        )

    def _jobs_with_workers(self) -> frozenset[str]:
        if self._engine is not None:
            return frozenset()
        return frozenset(label for label, job in self._context.catalog.jobs.items() if job.worker is not None)

    async def _connect(self, engine: RemoteExecutor) -> None:
        """Connects to the engine; for a build that was begun, again for a while, since its job runs may be going on."""
        settings = self._context.settings
        waited, pause = 0.0, settings.engine_retry_seconds
        while True:
            try:
                return await engine.connect()
            except ExecutorError:
                if self._begun is None or waited >= settings.engine_outage_seconds:
                    raise
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _MAX_ENGINE_PAUSE_SECONDS)

    async def _run_tasks(self, plan: Plan, tasks: TaskAccess) -> BuildResult:
        # A build without tasks starts faster without the modules that only run them.
        from databuild.graph.execution import ExecutionOptions, execute
        from databuild.orchestration.build.recovery import InputRecovery

        jobs, local_jobs = self._concurrency()
        runner = self._job_runner(tasks, jobs)
        workers = self._jobs_with_workers()
        options = ExecutionOptions(
            jobs=jobs,
            keep_going=self._request.options.keep_going,
            retries={label: job.retry for label, job in self._context.catalog.jobs.items()},
            limits=self._resources.limits(jobs, local_jobs),
            needs=self._resources.needs,
            # A worker of another job gives way to each change of the job.
            consecutive=workers,
        )
        recovery = InputRecovery(
            plan,
            lambda refs, records: self._make_plan(
                refs, PlanOptions(reuse_stale=self._request.options.reuse_stale), records
            ),
            self._reader,
            orchestrator=self._orchestrator,
            recorder=self._recorder,
            versions=self._versions,
        )
        result = await execute(
            plan.tasks,
            runner,
            self._recorder,
            options,
            needed=self._versions.needed,
            may_follow=functools.partial(self._may_follow, tasks),
            inputs=self._used_data if self._request.options.verify != "none" else None,
            recover=recovery,
            progress=self._begun.progress if self._begun is not None else None,
            # Engines have queues of their own, and requests to workers need no start.
            queueing=runner if self._engine is None and not workers else None,
        )
        return _build_result(result)

    def _concurrency(self) -> tuple[int, int]:
        """Returns the maximum number of job runs at once, and that of runs on this machine."""
        local_jobs = self._context.executor.capacity.processes
        if self._engine is None:
            return min(self._request.options.jobs, local_jobs), local_jobs
        # More than the engine runs at once wait in its queue, so that no machine waits for the event log.
        jobs = self._request.options.jobs or self._engine.capacity.processes
        return jobs, min(local_jobs, len(os.sched_getaffinity(0)))

    def _job_runner(self, tasks: TaskAccess, jobs: int) -> JobRunner:
        from databuild.orchestration.jobs.job_runner import JobRunner

        return JobRunner(
            self._context.executor,
            self._context.catalog,
            engine=self._engine,
            handles=self._begun.handles if self._begun is not None else {},
            folder=self._folder,
            logs=self._logs,
            working_directory=self._context.settings.working_directory,
            environment=self._context.settings.environment,
            on_report=self._recorder.record_report,
            token=self._recorder.tokens.__getitem__,
            tasks=tasks,
            running=self._recorder.running,
            is_detached=lambda: self._coordination.lost or self._orchestrator.failed,
            orchestrator=self._orchestrator,
            trace=self._trace,
            jobs=jobs,
            queue_room=self._context.executor.queue_room,
        )


def _build_result(result: ExecutionResult) -> BuildResult:
    count = len(result.failed)
    if result.stopped_by is not None:
        return FailFast(trigger_job=result.stopped_by.job_label, jobs_completed=result.completed, jobs_failed=count)
    if count:
        return Failed(
            jobs_completed=result.completed,
            jobs_failed=count,
            category=pt.FAILURE_CATEGORY_USER,
            message=f"{count} {'task' if count == 1 else 'tasks'} failed",
        )
    return Success(jobs_completed=result.completed)


def _received(request: BuildRequest) -> BuildState:
    """Returns the state of a build after its first append: RECEIVED, and each requested partition REQUESTED."""
    requested = dict.fromkeys(request.requested, pt.PARTITION_STATUS_REQUESTED)
    return BuildState(
        request.build_request_id,
        status=ev.BUILD_STATUS_RECEIVED,
        last_sequence=1 + len(requested),
        partitions=requested.items(),
    )


def _logs(request: BuildRequest, context: BuildContext, folder: str) -> BuildLogs:
    log_store = request.options.log_store
    if not log_store:
        return LogsInStateDirectory(folder)
    if context.log_uploads is None:
        raise InvalidRequestError(f"log_store is {log_store!r}; builds of this process have none")
    return LogsInStore(context.log_uploads(), log_store, request.build_request_id)


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
    except OSError as error:
        message = f"the folder for job logs, {path}, cannot be created: {error.strerror}"
        raise InvalidRequestError(message).with_remedy("OTHER_STATE_DIRECTORY") from error


def _failure_of(error: DataBuildError) -> Failed:
    our_fault = isinstance(error, ExecutorError)
    category = pt.FAILURE_CATEGORY_INFRASTRUCTURE if our_fault else pt.FAILURE_CATEGORY_USER
    return Failed(category=category, message=str(error).splitlines()[0], error=error)
