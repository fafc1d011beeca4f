"""Context of builds: the parts of a process that its builds share, as opposed to the request of one build."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from databuild.event_log import liveness as processes
from databuild.event_log.liveness import Liveness
from databuild.event_log.log import EventLog
from databuild.executors.engines import Engines, no_engines
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PlanningObserver
from databuild.orchestration.build.admission import Admission, ImmediateAdmission
from databuild.orchestration.build.settings import Settings
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev

if TYPE_CHECKING:
    from databuild.orchestration.logs.log_uploads import LogUploads


class BuildContext(NamedTuple):
    """Everything that `run_build` needs besides the request.

    Attributes:
        catalog: The jobs.
        event_log: Stores the events.
        executor: Runs the processes on this machine: those of planning, and of builds without an engine.
        settings: The folders and intervals of job processes.
        clock: Returns the time in seconds since the epoch.
        liveness: Tells which processes have died.
        admission: Decides when the build may start.
        engines: The engines that builds may use.
        log_uploads: Returns the object that copies the logs of builds with a log store; None if builds have none.
        continue_build: Continues a build on an engine whose orchestrator has died, as for `Coordination`; None to end
            it.
        on_event: Called with every event when it is passed to the event log, before it is durable.
        planning: Notified of the progress of planning.
    """

    catalog: JobCatalog
    event_log: EventLog
    executor: ProcessExecutor
    settings: Settings
    clock: Callable[[], float] = time.time
    liveness: Liveness = processes
    admission: Admission = ImmediateAdmission()
    engines: Engines = no_engines()
    log_uploads: Callable[[], LogUploads] | None = None
    continue_build: Callable[[str, str], bool] | None = None
    on_event: Callable[[ev.BuildEvent], None] | None = None
    planning: PlanningObserver | None = None
