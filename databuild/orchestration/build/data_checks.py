"""The jobs that builds and plans ask about data that DataBuild cannot check itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.settings import Settings

if TYPE_CHECKING:
    from databuild.orchestration.stores.job_look import Check, JobLook, Reads


def job_look(
    catalog: JobCatalog,
    reader: Reads,
    executor: Executor,
    settings: Settings,
    env: Mapping[str, str] = MappingProxyType({}),
) -> tuple[JobLook, Check] | None:
    """Returns what asks jobs about their data; None if no job has the sub-command `check`.

    Args:
        catalog: The jobs.
        reader: Reads the event log.
        executor: Runs the processes of jobs.
        settings: The working directory and the environment.
        env: Variables for the processes, besides those of the jobs.
    """
    if not any(job.check for job in catalog.jobs.values()):
        return None
    from databuild.orchestration.jobs.check_process import CheckProcess
    from databuild.orchestration.stores.job_look import JobLook

    check = CheckProcess(
        executor, working_directory=settings.working_directory, processes=settings.config_calls, env=env
    )
    return JobLook(catalog, reader, settings.environment), check
