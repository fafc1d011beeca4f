"""The surroundings in which a process runs its builds, as opposed to the request of one build."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from databuild.event_log.log import EventLog, Queued
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PlanningObserver
from databuild.orchestration.settings import Settings
from databuild.orchestration.telemetry import Telemetry
from databuild.v1 import events_pb2 as ev


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildContext:
    """Everything that `run_build` needs besides the request.

    Attributes:
        catalog: The jobs.
        event_log: Stores the events.
        executor: Runs the processes.
        settings: The folders and intervals of job processes.
        clock: Returns the time in seconds since the epoch.
        telemetry: Receives traces and metrics; None for none.
        turn: Awaited once the request is recorded, while other builds go first; returns who has meanwhile asked for
            the build to be cancelled, empty for nobody. None where none goes first.
        queued: Who asked for it, where another process may go on with it if this one dies before its turn, and for whom
            this one goes on, where it does; None where nobody may.
        on_event: Called with every event when it is handed to the event log, before it is durable.
        planning: Is notified of the progress of planning.
    """

    catalog: JobCatalog
    event_log: EventLog
    executor: Executor
    settings: Settings
    clock: Callable[[], float] = time.time
    telemetry: Telemetry | None = None
    turn: Callable[[], Awaitable[str]] | None = None
    queued: Queued | None = None
    on_event: Callable[[ev.BuildEvent], None] | None = None
    planning: PlanningObserver | None = None
