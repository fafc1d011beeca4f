"""Planning with processes: analysis whose `config` and lookup calls run through an executor."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence

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


async def make_plan(
    requested: Sequence[str],
    *,
    catalog: JobCatalog,
    reader: PartitionRecords,
    executor: Executor,
    settings: Settings,
    options: PlanOptions = PlanOptions(),
    build_request_id: str = "",
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
        build_request_id: The build that the plan is for; empty for a plan without a build.
        observer: Notified of progress and warnings.
        past: Reads the events of past builds, which explain changed configurations.
        digests: False for a plan that is neither executed nor saved, whose tasks have no configuration digest.

    Raises:
        InvalidRequestError: The request is invalid.
        JobConfigurationError: A job's `config` failed.
        LookupFaultError: The graph's lookup failed.
        EventLogError: The records of partitions could not be read.
    """
    env = {"DATABUILD_BUILD_REQUEST_ID": build_request_id} if build_request_id else {}
    configure = ConfigProcess(executor, working_directory=settings.working_directory, env=env)
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
