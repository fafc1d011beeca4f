"""Planning with processes: analysis whose `config` and lookup calls run through an executor."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from databuild.executors.executor import Executor
from databuild.graph.analysis import analyze
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PartitionRecords, PlanningObserver
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.jobs.config_process import ConfigProcess
from databuild.orchestration.jobs.lookup_process import lookup_for
from databuild.orchestration.jobs.past_configs import BuildEvents, LoggedConfigs
from databuild.v1.events_pb2 import ConfigCall

_NO_VARIABLES: Final[Mapping[str, str]] = {}


async def make_plan(
    requested: Sequence[str],
    *,
    catalog: JobCatalog,
    reader: PartitionRecords,
    executor: Executor,
    settings: Settings,
    options: PlanOptions = PlanOptions(),
    env: Mapping[str, str] = _NO_VARIABLES,
    on_config_call: Callable[[ConfigCall], None] | None = None,
    observer: PlanningObserver | None = None,
    past: BuildEvents | None = None,
    digests: bool = True,
) -> Plan:
    """Plans a build. Writes no event.

    Args:
        requested: The requested partitions, ranges expanded.
        catalog: The jobs.
        reader: Reads the records of partitions.
        executor: Runs `config` of jobs and the lookup.
        settings: The working directory and the limit of concurrent calls.
        options: The options of the plan.
        env: Variables for `config`, besides those of the jobs.
        on_config_call: Called with each call of `config` that has ended.
        observer: Notified of progress and warnings.
        past: Reads the events of past builds, which explain changed configurations.
        digests: False for a plan that is neither executed nor saved, whose tasks have no configuration digest.

    Raises:
        InvalidRequestError: The request is invalid.
        JobConfigurationError: A job's `config` failed.
        LookupFaultError: The graph's lookup failed.
        EventLogError: The records of partitions could not be read.
    """
    configure = ConfigProcess(executor, working_directory=settings.working_directory, env=env, on_call=on_config_call)
    with contextlib.nullcontext() if settings.gc_while_planning else _without_gc():
        return await analyze(
            requested,
            catalog,
            configure,
            reader,
            lookup=lookup_for(catalog, executor, settings.working_directory),
            options=options,
            concurrency=settings.config_calls,
            observer=observer,
            past_configs=LoggedConfigs(past) if past is not None else None,
            digests=digests,
        )


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # otherwise, the next collection would visit the whole plan, which lives as long as the process
        gc.enable()
