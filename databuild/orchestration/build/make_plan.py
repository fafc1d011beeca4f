"""From partitions to the plan of a build: planning, with the processes that it asks."""

from __future__ import annotations

from collections.abc import Sequence

from databuild.executors.executor import Executor
from databuild.graph.analysis import analyze
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PartitionRecords, PlanningObserver
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.jobs.configuring import ProcessConfigure
from databuild.orchestration.jobs.looking_up import lookup_of
from databuild.orchestration.jobs.past_configs import BuildEvents, EventConfigs


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
) -> Plan:
    """Finds what a build of these partitions would do; writes no event.

    Args:
        requested: What is asked for, ranges expanded.
        catalog: The jobs.
        reader: What is known of partitions.
        executor: Runs the jobs' `config`.
        settings: Where they run.
        options: The options of the plan.
        build_request_id: The build that the plan is for; empty where it is for none.
        observer: Is told how it goes.
        past: Reads the events of past builds, to tell what has changed in configurations.

    Raises:
        InvalidRequestError: The request makes no sense.
        JobConfigurationError: A job's `config` failed.
        LookupFaultError: The graph's lookup failed.
        EventLogError: What is known of partitions could not be read.
    """
    env = {"DATABUILD_BUILD_REQUEST_ID": build_request_id} if build_request_id else {}
    configure = ProcessConfigure(executor, working_directory=settings.working_directory, env=env)
    return await analyze(
        requested,
        catalog,
        configure,
        reader,
        lookup=lookup_of(catalog, executor, settings.working_directory),
        options=options,
        concurrency=settings.config_calls,
        observer=observer,
        past_configs=EventConfigs(past) if past is not None else None,
    )
