"""The orchestrator of one build: the only writer of the build's events.

Check, append, advance: a transition that the lifecycle does not allow raises and writes nothing. The orchestrator does
not plan, run processes or read the event log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.errors import OrchestrationError
from databuild.event_log.coordination import Claim, ClaimRequest
from databuild.event_log.log import EventLog
from databuild.model.job_run_id import parse_job_run_id
from databuild.model.lifecycle import BuildState
from databuild.model.results import BuildResult, Success
from databuild.orchestration.events.mock_event_log import MockEventLog
from databuild.orchestration.events.payloads import (
    Payload,
    build_received,
    build_status,
    job_event,
    job_graph_events,
    partition_available,
    partition_building,
    partition_failed,
    partition_requested,
    partition_scheduled,
    partitions_delegated,
    terminal_event,
    unfinished_category,
    unfinished_message,
)
from databuild.orchestration.events.telemetry import NoTelemetry, Telemetry
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2

PLACEMENT_SECONDS: Final = 0.005
"""The longest time after which a placement is passed to the event log."""

_NOTHING: Final[Mapping[str, str]] = {}


class BuildOrchestrator:
    """One build, from RECEIVED to its terminal event.

    The methods that emit events advance the state of the build immediately, and return an awaitable that is done when
    the events are durable. After a failed write, every later call raises the same error, so that no event of the build
    is missing before another.
    """

    def __init__(
        self,
        event_log: EventLog,
        build_request_id: str,
        requested_partitions: Sequence[str],
        *,
        clock: Callable[[], float] = time.time,
        on_event: Callable[[ev.BuildEvent], None] | None = None,
        telemetry: Telemetry | None = None,
        state: BuildState | None = None,
    ) -> None:
        """Writes nothing yet.

        Args:
            event_log: Stores the events.
            build_request_id: The id of the build.
            requested_partitions: The requested partitions, ranges expanded.
            clock: Returns the time in seconds since the epoch.
            on_event: Called with every event when it is passed to the event log, before it is durable.
            telemetry: Receives traces and metrics; None for none.
            state: The state of a build that another orchestrator has begun; None for a new build.
        """
        self.build_request_id = build_request_id
        self.requested_partitions = tuple(requested_partitions)
        self._event_log = event_log
        self._clock = clock
        self._telemetry = telemetry or NoTelemetry()
        observers = (on_event, telemetry.observe if telemetry is not None else None)
        self._observers = tuple(observer for observer in observers if observer is not None)
        self._state = state or BuildState(build_request_id)
        self._failure: BaseException | None = None
        self._refused: list[ev.BuildEvent] = []
        self._last: asyncio.Future[None] | None = None
        self._placements: list[Payload] = []

    @classmethod
    def with_mock_event_log(
        cls, build_request_id: str, requested_partitions: Sequence[str] = (), **settings: Any
    ) -> BuildOrchestrator:
        """Returns an orchestrator for tests, whose events are kept in `emitted_events`."""
        return cls(MockEventLog(), build_request_id, requested_partitions, **settings)

    @property
    def emitted_events(self) -> list[ev.BuildEvent]:
        """The events emitted so far; only of an orchestrator made by `with_mock_event_log`.

        Raises:
            TypeError: The orchestrator has a real event log.
        """
        if not isinstance(self._event_log, MockEventLog):
            message = "only with_mock_event_log keeps emitted_events; read the event log instead"
            raise TypeError(message)
        return self._event_log.events

    @property
    def state(self) -> BuildState:
        """The state of the build after all emitted events. Must not be changed."""
        return self._state

    @property
    def refused_events(self) -> Sequence[ev.BuildEvent]:
        """The emitted events that could not be written."""
        return self._refused

    @property
    def failed(self) -> bool:
        """True if an event could not be written, so that another process may be writing the build."""
        return self._failure is not None

    async def settled(self) -> None:
        """Waits until every emitted event is written or refused, except placements that have not been passed on yet."""
        if self._last is not None:  # appends end in the order in which they were made
            await asyncio.wait((self._last,))

    async def written(self) -> None:
        """Waits until every emitted event is written, except placements that have not been passed on yet.

        Raises:
            EventLogError: One of them could not be written.
        """
        await self.settled()
        if self._failure is not None:
            raise self._failure

    def with_tracing_span(self, name: str, **attributes: str | int) -> AbstractContextManager[object]:
        """Returns a context manager for a span of the build's trace; it does nothing without telemetry."""
        return self._telemetry.span(name, {"databuild.build_request_id": self.build_request_id, **attributes})

    def start_build(
        self,
        *,
        graph_label: str = "",
        options: ev.BuildOptions | None = None,
        retry_of: str = "",
        downstream_of: Sequence[str] = (),
        warnings: Sequence[str] = (),
        environment: str = "",
        origin: ev.BuildOrigin | None = None,
        traceparent: str = "",
        bazel_invocation_id: str = "",
    ) -> Awaitable[None]:
        """Emits RECEIVED, and REQUESTED for each requested partition.

        Args:
            graph_label: The label of the graph.
            options: How it is to be built.
            retry_of: The id of the build that this one retries; empty for none.
            downstream_of: The partitions that the requested ones were made from, if the request named those instead.
            warnings: Warnings about the request, one sentence each.
            environment: The environment of the build; empty for the base.
            origin: The source of the build and the machine of this process; None if they are unknown.
            traceparent: The trace context of the caller; empty for none.
            bazel_invocation_id: The invocation of Bazel that has started this process; empty if it is unknown.
        """
        received = build_received(
            self.requested_partitions,
            graph_label=graph_label,
            options=options,
            retry_of=retry_of,
            downstream_of=downstream_of,
            warnings=warnings,
            environment=environment,
            origin=origin,
            traceparent=traceparent,
            bazel_invocation_id=bazel_invocation_id,
        )
        return self.emit(received, *map(partition_requested, dict.fromkeys(self.requested_partitions)))

    def start_planning(self) -> Awaitable[None]:
        """Emits PLANNING."""
        return self.emit(build_status(ev.BUILD_STATUS_PLANNING))

    def complete_planning(
        self, warnings: Sequence[str] = (), config_calls: Sequence[ev.ConfigCall] = ()
    ) -> Awaitable[None]:
        """Emits ANALYSIS_COMPLETED; the job graph must have been emitted before."""
        return self.emit(build_status(ev.BUILD_STATUS_ANALYSIS_COMPLETED, warnings, config_calls))

    def start_execution(self) -> Awaitable[None]:
        """Emits EXECUTING."""
        return self.emit(build_status(ev.BUILD_STATUS_EXECUTING))

    def complete_build(
        self,
        result: BuildResult,
        in_doubt: Mapping[str, str] = _NOTHING,
        *,
        warnings: Sequence[str] = (),
        config_calls: Sequence[ev.ConfigCall] = (),
    ) -> Awaitable[None]:
        """Emits the terminal event of the build, after the ends of all open job runs and partitions.

        Args:
            result: The result of the build.
            in_doubt: Partitions that a job run may have changed although no event says so: its id, by ref.
            warnings: Warnings about the request or its plan, one sentence each.
            config_calls: The calls of `config` that no event has yet.

        Raises:
            InvalidStateTransitionError: The result is a success, but a job run or a partition is open or has failed.
        """
        terminal = terminal_event(result)
        terminal.warnings.extend(warnings)
        terminal.config_calls.extend(config_calls)
        closing: list[Payload] = []
        if not isinstance(result, Success):
            failure = pt.Failure(category=unfinished_category(result), message=unfinished_message(result))
            closing += [self._cancelled_job(job_run_id, failure) for job_run_id in self._state.open_jobs()]
            closing += [
                partition_failed(ref, failure, job_run_id=in_doubt.get(ref, ""))
                for ref in self._state.open_partitions()
            ]
        return self.emit(*closing, ("build_request", terminal))

    def emit_job_graph(
        self, tasks: Sequence[plan_pb2.Task], code_digests: Mapping[str, str] | None = None
    ) -> Awaitable[None]:
        """Emits the job graph, in as many events as its size requires."""
        return self.emit(*(("job_graph", part) for part in job_graph_events(tasks, code_digests or {})))

    def emit_partition_scheduled(self, ref: str, task_id: int, reason: pt.Reason, cause: str = "") -> Awaitable[None]:
        """Emits that a task of the job graph will produce a partition."""
        return self.emit(partition_scheduled(ref, task_id, reason, cause))

    def emit_partition_building(self, ref: str, task_id: int, job_run_id: str) -> Awaitable[None]:
        """Emits that the job run that produces a partition has started."""
        return self.emit(partition_building(ref, task_id, job_run_id))

    def emit_partition_available(
        self, ref: str, task_id: int, job_run_id: str, version: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Awaitable[None]:
        """Emits that a partition is complete. Without a version, its version is the id of the job run."""
        return self.emit(partition_available(ref, task_id, job_run_id, version, metadata))

    def emit_partition_failed(
        self, ref: str, failure: pt.Failure, task_id: int = 0, job_run_id: str = ""
    ) -> Awaitable[None]:
        """Emits that a partition was not produced."""
        return self.emit(partition_failed(ref, failure, task_id, job_run_id))

    def emit_delegation(
        self, delegated_to: str, job_label: str, refs: Sequence[str], *, running: bool = False
    ) -> Awaitable[None]:
        """Emits that partitions are left to another build. Those that are open in this build become DELEGATED."""
        own_partitions = self._state.partitions
        return self.emit(*partitions_delegated(delegated_to, job_label, refs, own_partitions, running=running))

    def emit_job_scheduled(self, job_run_id: str, task_id: int, job_label: str, attempt: int = 1) -> Awaitable[None]:
        """Emits that a job run will start when a slot is free."""
        return self.emit(("job", job_event(job_run_id, task_id, job_label, ev.JOB_STATUS_SCHEDULED, attempt)))

    def emit_job_running(self, job_run_id: str, task_id: int, job_label: str, attempt: int = 1) -> Awaitable[None]:
        """Emits that a job run has started."""
        return self.emit(("job", job_event(job_run_id, task_id, job_label, ev.JOB_STATUS_RUNNING, attempt)))

    def emit_job_completed(self, job_run_id: str, task_id: int, job_label: str, attempt: int = 1) -> Awaitable[None]:
        """Emits that a job run has completed."""
        return self.emit(("job", job_event(job_run_id, task_id, job_label, ev.JOB_STATUS_COMPLETED, attempt)))

    def emit_job_failed(
        self, job_run_id: str, task_id: int, job_label: str, failure: pt.Failure, attempt: int = 1
    ) -> Awaitable[None]:
        """Emits that a job run has failed."""
        return self.emit(("job", job_event(job_run_id, task_id, job_label, ev.JOB_STATUS_FAILED, attempt, failure)))

    def emit_placement(self, job_run_id: str, *, executor: str, handle: str) -> None:
        """Emits that an engine has accepted a job run: together with the next events, or a few milliseconds later.

        Args:
            job_run_id: The job run, which is RUNNING.
            executor: The address of the engine, without secrets.
            handle: The text by which the executor finds the run again.
        """
        self._place(ev.PlacementEvent(job_run_id=job_run_id, executor=executor, handle=handle))

    def emit_start(self, job_run_id: str, *, machine: str, queued_seconds: float) -> None:
        """Emits that a machine of an engine has started a job run, after a time in its queue.

        It is passed on together with the next events, or a few milliseconds later.
        """
        self._place(
            ev.PlacementEvent(job_run_id=job_run_id, started=True, machine=machine, queued_seconds=queued_seconds)
        )

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        return self._event_log.claim(requests)

    def emit(self, *payloads: Payload, earlier: int = 0, seconds_ago: float = 0.0) -> Awaitable[None]:
        """Appends several events in one transaction.

        Args:
            payloads: The events.
            earlier: The number of the first events that became true earlier.
            seconds_ago: The time since then.

        Raises:
            InvalidStateTransitionError: The lifecycle does not allow one of them; none is written.
            EventLogError: An earlier event could not be written.
        """
        if self._failure is not None:
            raise self._failure
        if self._placements:
            placements, self._placements = self._placements, []
            earlier = earlier and earlier + len(placements)
            return self.emit(*placements, *payloads, earlier=earlier, seconds_ago=seconds_ago)
        sequence = self._state.last_sequence
        now = self._clock()
        # One message for all events of one time, since this method runs several times for each task.
        stamp = _timestamp(now - seconds_ago if earlier else now)
        build = self.build_request_id
        events = []
        for number, (kind, message) in enumerate(payloads):
            if number == earlier and earlier:
                stamp = _timestamp(now)
            sequence += 1
            # To copy messages into the event takes less time than to pass them to its constructor.
            event = ev.BuildEvent(event_id=f"{build}/{sequence}", build_request_id=build, sequence=sequence)
            event.time.CopyFrom(stamp)
            getattr(event, kind).CopyFrom(message)
            events.append(event)
        # Raises and changes nothing if the lifecycle does not allow one of the events, so none of them is appended.
        self._state.advance(events)
        self._last = appended = asyncio.ensure_future(self._event_log.append(events))
        appended.add_done_callback(lambda done: self._written(done, events))
        for observer in self._observers:
            for event in events:
                observer(event)
        return appended

    def _place(self, placement: ev.PlacementEvent) -> None:
        # A message of an engine is often about several job runs, and that about the start of a short one comes with
        # its end. Fewer appends cost less.
        if not self._placements:
            asyncio.get_running_loop().call_later(PLACEMENT_SECONDS, self._emit_placements)
        self._placements.append(("placement", placement))

    def _emit_placements(self) -> None:
        if self._placements:
            # If the event log has failed, the next event raises the error again.
            with contextlib.suppress(OrchestrationError):
                self.emit()

    def _written(self, appended: asyncio.Future[None], events: Sequence[ev.BuildEvent]) -> None:
        if not appended.cancelled() and (error := appended.exception()) is not None:
            # The first error is the cause: later appends fail only because these events are missing.
            self._failure = self._failure or error
            self._refused += events

    @staticmethod
    def _cancelled_job(job_run_id: str, failure: pt.Failure) -> Payload:
        _, task_id, attempt = parse_job_run_id(job_run_id)
        return ("job", job_event(job_run_id, task_id, "", ev.JOB_STATUS_CANCELLED, attempt, failure))


def _timestamp(time: float) -> Timestamp:
    seconds = int(time)
    return Timestamp(seconds=seconds, nanos=int((time - seconds) * 1e9))
