"""From request to result: the one function that every build goes through, whoever asked for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, cast

from databuild.errors import (
    CoordinationError,
    DataBuildError,
    InvalidRequestError,
    InvalidStateTransitionError,
    OrchestrationError,
    PlanChangedError,
    ProcessesLeftError,
)
from databuild.event_log.coordination import Queued
from databuild.event_log.log import EventLog
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.graph.execution import ExecutionOptions, execute
from databuild.graph.pacing import Pace, slices
from databuild.graph.plan_file import changes_since, task_to_message
from databuild.graph.ports import PlanningObserver
from databuild.graph.reasons import absent_inputs_warning
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BuildState
from databuild.orchestration.coordination import Coordination
from databuild.orchestration.ids import check_build_request_id
from databuild.orchestration.job_runner import JobRunner
from databuild.orchestration.late_results import raise_if_overtaken
from databuild.orchestration.make_plan import make_plan
from databuild.orchestration.orchestrator import BuildOrchestrator
from databuild.orchestration.payloads import Payload, partition_scheduled, parts_of_job_graph
from databuild.orchestration.recording import BuildRecorder
from databuild.orchestration.resources import Resources
from databuild.orchestration.results import BuildResult, Cancelled, Failed, FailFast, Success
from databuild.orchestration.settings import BuildRequest, Settings
from databuild.orchestration.telemetry import Telemetry
from databuild.orchestration.versions import Versions
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2

_CANCEL_POLL_SECONDS: Final = 0.5


async def run_build(
    request: BuildRequest,
    *,
    catalog: JobCatalog,
    event_log: EventLog,
    executor: Executor,
    settings: Settings,
    on_event: Callable[[ev.BuildEvent], None] | None = None,
    clock: Callable[[], float] = time.time,
    telemetry: Telemetry | None = None,
    turn: Callable[[], Awaitable[str]] | None = None,
    queued: Queued | None = None,
    planning: PlanningObserver | None = None,
) -> BuildResult:
    """Builds what is requested and writes every fact of it to the event log.

    To cancel the build, cancel the awaiting task: the process groups of its jobs end, and the result is Cancelled, by
    whom the message of the cancellation says.

    Args:
        request: What is asked for.
        catalog: The jobs.
        event_log: Where the events go.
        executor: Runs the processes.
        settings: Where they run and what they leave behind.
        on_event: Told of every event as it is handed to the event log.
        clock: Returns the time in seconds since the epoch.
        telemetry: Takes measurements; None for none.
        turn: Awaited once the request is recorded, while other builds go first; returns who has meanwhile asked for
            the build to be cancelled, empty for nobody. None where none goes first.
        queued: Who asked for it, where another process may go on with it if this one dies before its turn, and for whom
            this one goes on, where it does; None where nobody may.
        planning: Is told how planning goes.

    Raises:
        InvalidRequestError: The request makes no sense; the build has FAILED, or where its id is the fault, is none.
        JobConfigurationError: A job's `config` failed; the build has FAILED.
        LookupFaultError: The graph's lookup failed; the build has FAILED.
        PlanChangedError: The world moved under the request's plan; the build has FAILED.
        ProcessesLeftError: What a dead build left running cannot be ended; the build has FAILED.
        OrchestrationError: We failed; the build may have no end in the log.
    """
    check_build_request_id(request.build_request_id)
    build = _Build(request, catalog, event_log, executor, settings, on_event, clock, telemetry, turn, queued, planning)
    return await build.run()


class _Build:
    def __init__(
        self,
        request: BuildRequest,
        catalog: JobCatalog,
        event_log: EventLog,
        executor: Executor,
        settings: Settings,
        on_event: Callable[[ev.BuildEvent], None] | None,
        clock: Callable[[], float],
        telemetry: Telemetry | None,
        turn: Callable[[], Awaitable[str]] | None,
        queued: Queued | None,
        planning: PlanningObserver | None,
    ) -> None:
        self._request = request
        self._left = queued is not None and bool(queued.left_by)
        self._turn = turn
        self._planning = planning
        self._warnings: list[str] = []
        self._catalog = catalog
        self._event_log = event_log
        self._reader = event_log.reader()
        self._executor = executor
        self._settings = settings
        self._clock = clock
        self._folder = f"{settings.log_directory}/{request.build_request_id}"
        self._orchestrator = BuildOrchestrator(
            event_log,
            request.build_request_id,
            request.requested,
            clock=clock,
            on_event=on_event,
            telemetry=telemetry,
            state=_received(request) if self._left else None,
        )
        self._coordination = Coordination(
            event_log,
            self._reader,
            executor,
            request.build_request_id,
            clock=clock,
            lease_seconds=settings.lease_seconds,
            queued=queued,
        )
        self._versions = Versions(self._reader)
        self._resources = Resources(catalog, request.jobs)
        self._recorder = BuildRecorder(
            self._orchestrator, self._versions, self._coordination.released, self._resources.shared
        )
        self._cancelled_by = ""

    async def run(self) -> BuildResult:
        with self._orchestrator.with_tracing_span("databuild.build", graph=self._catalog.graph_label):
            try:
                return await self._run()
            except (CoordinationError, InvalidStateTransitionError):
                await self._orchestrator.settled()
                await raise_if_overtaken(
                    self._event_log, self._request.build_request_id, self._orchestrator.refused_events, self._clock()
                )
                # What follows an event that could not be written is refused, and may be noticed first; this raises what
                # was at the bottom of it.
                if self._orchestrator.refused_events:
                    self._orchestrator.emit()
                raise

    async def _run(self) -> BuildResult:
        result: BuildResult
        try:
            await self._start()
            async with self._coordination.staying_alive():
                await self._wait_for_turn()
                async with self._cancelled_on_request():
                    result = await self._work()
        except asyncio.CancelledError as cancelled:
            _uncancel()
            author = self._cancelled_by or " ".join(map(str, cancelled.args))
            result = Cancelled(jobs_completed=self._recorder.completed, author=author)
        except ProcessesLeftError as error:
            await self._end(Failed(category=pt.FAILURE_CATEGORY_INFRASTRUCTURE, message=str(error)))
            raise
        except OrchestrationError:
            raise
        except DataBuildError as error:
            await self._end(_failure_of(error))
            raise
        except Exception as error:
            message = f"an error of DataBuild itself: {type(error).__name__}: {error}"
            await self._end(Failed(category=pt.FAILURE_CATEGORY_INFRASTRUCTURE, message=message))
            raise
        finally:
            self._recorder.stop()
            self._reader.close()
        await self._end(result)
        return result

    async def _wait_for_turn(self) -> None:
        if self._turn is not None and (author := await self._turn()):
            self._cancelled_by = author
            raise asyncio.CancelledError

    async def _work(self) -> BuildResult:
        _make_folder(self._folder)
        await self._coordination.end_the_dead()
        with self._orchestrator.with_tracing_span("databuild.planning"):
            plan = await self._plan()
        with (
            self._orchestrator.with_tracing_span("databuild.execution", tasks=len(plan.tasks)),
            self._executor.guarded(self._request.build_request_id) if plan.tasks else contextlib.nullcontext(),
        ):
            result = await self._execute(plan)
        self._warn_of_absent_inputs(plan)
        return result

    def _warn_of_absent_inputs(self, plan: Plan) -> None:
        """Warns of QUERY inputs that were not there, and that nothing has produced meanwhile either."""
        if plan.absent_inputs:
            now = self._reader.partition_records([one.ref for one in plan.absent_inputs])
            absent = [one for one in plan.absent_inputs if one.ref not in now or not now[one.ref].available]
            self._warnings += absent_inputs_warning(absent)

    async def _start(self) -> None:
        request = self._request
        renewed = self._coordination.renew()  # written together with what follows
        if self._left:
            await renewed
            return
        await self._orchestrator.start_build(
            graph_label=self._catalog.graph_label,
            options=ev.BuildOptions(
                keep_going=request.keep_going,
                jobs=request.jobs,
                plan=plan_pb2.PlanOptions(
                    stale=plan_pb2.STALE_POLICY_REUSE if request.reuse_stale else plan_pb2.STALE_POLICY_REBUILD,
                    force=request.force,
                ),
            ),
            retry_of=request.retry_of,
        )

    async def _end(self, result: BuildResult) -> None:
        """Writes the end of the build; once that has begun, it is too late to cancel the build."""

        async def write() -> None:
            await self._orchestrator.complete_build(result, warnings=self._warnings)

        written = asyncio.create_task(write(), name="the-end")
        while not written.done():
            try:
                await asyncio.shield(written)
            except asyncio.CancelledError:
                if written.cancelled():
                    raise
                _uncancel()
        written.result()

    async def _plan(self) -> Plan:
        request = self._request
        await self._orchestrator.start_planning()
        plan = await make_plan(
            request.requested,
            catalog=self._catalog,
            reader=self._reader,
            executor=self._executor,
            settings=self._settings,
            force=request.force,
            reuse_stale=request.reuse_stale,
            build_request_id=request.build_request_id,
            observer=self._planning,
            past=self._reader,
        )
        self._warnings += plan.warnings
        if request.plan is not None and (differences := changes_since(request.plan, plan)):
            raise PlanChangedError(differences)
        await self._record(plan)
        await self._orchestrator.complete_planning(plan.warnings)
        return plan

    async def _record(self, plan: Plan) -> None:
        """Writes what planning decided: what is scheduled, the job graph, and what is left to past builds."""
        pace = Pace()
        for some in slices(partition for partition in plan.partitions if partition.task_id):
            await pace.rest()
            scheduled: list[Payload] = [
                partition_scheduled(one.ref, one.task_id, cast("pt.Reason", one.reason), one.cause) for one in some
            ]
            self._orchestrator.emit(*scheduled)
        messages = [await pace.drive(task_to_message(task)) for task in plan.tasks]
        for part in parts_of_job_graph(messages, plan.code_digests):
            self._orchestrator.emit(("job_graph", part))
            await pace.rest()
        read: set[str] = set()
        for task in plan.tasks:
            for inputs in slices(task.config.materialize):
                await pace.rest()
                read.update(inputs)
        delegated: dict[tuple[str, str], list[str]] = {}
        for some in slices(plan.partitions):
            await pace.rest()
            for partition in some:
                if not partition.task_id and (partition.requested or partition.ref in read):
                    delegated.setdefault((partition.delegated_to, partition.job_label), []).append(partition.ref)
        for (build, job_label), refs in sorted(delegated.items()):
            self._orchestrator.emit_delegation(build, job_label, refs)

    async def _execute(self, plan: Plan) -> BuildResult:
        await self._orchestrator.start_execution()
        recorder = self._recorder
        self._versions.start(plan)
        runner = JobRunner(
            self._executor,
            self._catalog.jobs,
            folder=self._folder,
            working_directory=self._settings.working_directory,
            on_report=recorder.reported,
            token=recorder.tokens.pop,
            orchestrator=self._orchestrator,
        )
        jobs = self._catalog.jobs
        result = await execute(
            plan.tasks,
            runner,
            recorder,
            ExecutionOptions(
                jobs=min(self._request.jobs, self._executor.capacity.processes),
                keep_going=self._request.keep_going,
                retries={label: job.retry for label, job in jobs.items()},
                limits=self._resources.limits,
                needs=self._resources.needs,
            ),
            needed=self._versions.needed,
        )
        if result.stopped_by is not None:
            return FailFast(
                trigger_job=result.stopped_by.job_label,
                jobs_completed=result.completed,
                jobs_failed=len(result.failed),
            )
        if result.failed:
            count = len(result.failed)
            return Failed(
                jobs_completed=result.completed,
                jobs_failed=count,
                category=pt.FAILURE_CATEGORY_USER,
                message=f"{count} {'task' if count == 1 else 'tasks'} failed",
            )
        return Success(jobs_completed=result.completed)

    @contextlib.asynccontextmanager
    async def _cancelled_on_request(self) -> AsyncIterator[None]:
        """Cancels the task inside when somebody asks for it through the event log."""
        inside = asyncio.current_task()
        assert inside is not None

        async def poll() -> None:
            while True:
                await asyncio.sleep(_CANCEL_POLL_SECONDS)
                record = self._reader.build(self._request.build_request_id)
                if record is not None and record.cancel_requested_by:
                    self._cancelled_by = record.cancel_requested_by
                    inside.cancel()
                    return

        polling = asyncio.create_task(poll(), name="cancel-requests")
        try:
            yield
        finally:
            polling.cancel()


def _received(request: BuildRequest) -> BuildState:
    """Returns where a build stands of which nothing but the request is recorded."""
    requested = dict.fromkeys(request.requested, pt.PARTITION_STATUS_REQUESTED)
    return BuildState(
        request.build_request_id,
        status=ev.BUILD_STATUS_RECEIVED,
        last_sequence=1 + len(requested),
        partitions=requested.items(),
    )


def _uncancel() -> None:
    """Goes on although the current task was cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
    except OSError as error:
        message = f"the folder for job logs, {path}, cannot be made: {error.strerror}; choose another --state_dir"
        raise InvalidRequestError(message) from error


def _failure_of(error: DataBuildError) -> Failed:
    return Failed(category=pt.FAILURE_CATEGORY_USER, message=str(error).splitlines()[0], error=error)
