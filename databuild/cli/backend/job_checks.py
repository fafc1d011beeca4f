"""Jobs that this process asks about data at which DataBuild cannot look."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from databuild.cli.backend.invocation import Invocation
from databuild.orchestration.stores.verification import Jobs

if TYPE_CHECKING:
    from databuild.orchestration.stores.job_look import Check, JobFindings


def jobs_of(call: Invocation) -> Jobs:
    """Returns the jobs of the graph of an invocation."""

    def run(ask: Callable[[Check], Coroutine[Any, Any, JobFindings]]) -> JobFindings:
        import asyncio

        from databuild.cli.backend.local_plan import settings
        from databuild.executors.local import LocalExecutor
        from databuild.orchestration.jobs.check_process import CheckProcess

        async def work() -> JobFindings:
            used = settings(call)
            executor = LocalExecutor(base_env=call.job_environ)
            try:
                return await ask(
                    CheckProcess(executor, working_directory=used.working_directory, processes=used.config_calls)
                )
            finally:
                await executor.close()

        return asyncio.run(work())

    return Jobs(call.catalog, call.environment, run)
