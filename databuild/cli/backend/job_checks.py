"""Jobs that this process asks about data that DataBuild cannot check itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from databuild.cli.backend.invocation import Invocation
from databuild.orchestration.stores.verification import AskedJobs

if TYPE_CHECKING:
    from databuild.orchestration.stores.job_look import Check, JobFindings


def jobs_of(call: Invocation) -> AskedJobs:
    """Returns the jobs of the graph of an invocation."""

    def run(ask: Callable[[Check], Coroutine[Any, Any, JobFindings]]) -> JobFindings:
        import asyncio

        from databuild.cli.backend.build_settings import build_settings
        from databuild.executors.local import LocalExecutor
        from databuild.orchestration.jobs.check_process import CheckProcess

        async def work() -> JobFindings:
            settings = build_settings(call)
            executor = LocalExecutor(base_env=call.job_environ)
            try:
                check = CheckProcess(
                    executor, working_directory=settings.working_directory, processes=settings.config_calls
                )
                return await ask(check)
            finally:
                await executor.close()

        return asyncio.run(work())

    return AskedJobs(call.catalog, call.environment, run)
