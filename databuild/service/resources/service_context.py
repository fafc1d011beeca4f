"""Context of a service: the parts that its operations on builds and partitions share."""

from __future__ import annotations

import time
from collections.abc import Callable

from databuild.event_log import liveness as processes
from databuild.event_log.liveness import Liveness
from databuild.event_log.log import EventLog
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.settings import Settings
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.storage.storages import Storages
from databuild.tuples import NamedTuple


class ServiceContext(NamedTuple):
    """The parts that the operations of one service share.

    Attributes:
        catalog: The jobs.
        event_log: Records operations.
        readers: Read the event log.
        executor: Runs lookups and checks of jobs on this machine, and ends processes of dead builds.
        settings: The folders and the environment of job processes.
        limits: The limits of requests and pages.
        storages: The stores of objects.
        clock: Returns the time in seconds since the epoch.
        liveness: Tells which processes have died.
    """

    catalog: JobCatalog
    event_log: EventLog
    readers: ReaderPool
    executor: ProcessExecutor
    settings: Settings
    limits: Limits
    storages: Storages
    clock: Callable[[], float] = time.time
    liveness: Liveness = processes
