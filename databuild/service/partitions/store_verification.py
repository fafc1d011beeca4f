"""Verification of stores: looks for the data of partitions, and records what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from typing import Any, Final

from databuild.graph.catalog import Job
from databuild.model.store_check import StoreCheck, StoreCheckOptions
from databuild.orchestration.jobs.check_process import CheckAnswer, CheckProcess
from databuild.orchestration.stores.job_look import Check, JobFindings
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import AskedJobs, Part, verify_part
from databuild.service.resources.service_context import ServiceContext

_PART: Final = 1000
_PART_WITH_CONTENT: Final = 10
"""The numbers of partitions of a part: a request must be answered in time, also if files are large."""

_CHECK_SECONDS: Final = 120.0
"""The timeout of one call of a job: clients wait five minutes, and a job that finds nothing is called twice."""

_CANCEL_SECONDS: Final = 0.2
"""The interval at which processes are cancelled that a cancelled verification has started meanwhile."""


class StoreVerification:
    """Verifies stores for callers. Used from one event loop."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._check = CheckProcess(
            context.executor,
            working_directory=context.settings.working_directory,
            processes=context.settings.config_calls,
            timeout_seconds=_CHECK_SECONDS,
        )
        self._checks: set[asyncio.Task[Any]] = set()
        # One at a time: each uses several threads.
        self._alone = asyncio.Lock()

    async def verify(
        self, partitions: tuple[str, ...], options: StoreCheckOptions, *, after: str, author: str
    ) -> StoreCheck:
        """Verifies the next part of partitions.

        Args:
            partitions: Refs, ranges and patterns; empty for all partitions.
            options: The options.
            after: `next_after` of the part before; empty for the first part.
            author: The name of the caller.

        Raises:
            InvalidRequestError: A partition is not valid, or there are too many.
            EventLogError: The event log failed.
        """
        async with self._alone:
            part = await self._part_in_thread(partitions, options, after, author)
            for event in part.events:
                await self._context.event_log.append([event])
        return part.check

    async def _part_in_thread(
        self, partitions: tuple[str, ...], options: StoreCheckOptions, after: str, author: str
    ) -> Part:
        runner = self._runner(asyncio.get_running_loop())
        jobs = AskedJobs(lambda: self._context.catalog, self._context.settings.environment, runner)
        work = asyncio.ensure_future(asyncio.to_thread(self._part, partitions, options, after, author, jobs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # The thread ends after the processes that it waits for.
            while not work.done():
                for check in tuple(self._checks):
                    check.cancel()
                await asyncio.wait({work}, timeout=_CANCEL_SECONDS)
            raise

    def _runner(
        self, loop: asyncio.AbstractEventLoop
    ) -> Callable[[Callable[[Check], Coroutine[Any, Any, JobFindings]]], JobFindings]:
        """Returns a function for a thread that runs a coroutine there, and the processes of jobs on an event loop."""

        async def check(job: Job, refs: Sequence[str], environment: str) -> CheckAnswer:
            answer = self._cancellable(self._check(job, refs, environment))
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer, loop))

        def run(ask: Callable[[Check], Coroutine[Any, Any, JobFindings]]) -> JobFindings:
            return asyncio.run(ask(check))

        return run

    async def _cancellable(self, check: Coroutine[Any, Any, CheckAnswer]) -> CheckAnswer:
        task = asyncio.current_task()
        assert task is not None
        self._checks.add(task)
        try:
            return await check
        finally:
            self._checks.discard(task)

    def _part(
        self, partitions: tuple[str, ...], options: StoreCheckOptions, after: str, author: str, jobs: AskedJobs
    ) -> Part:
        maximum = self._context.limits.max_partitions
        selection = Selection(partitions, lambda texts: self._context.catalog.expand(texts, maximum, produced=False))
        with closing(self._context.event_log.reader()) as reader:
            return verify_part(
                reader,
                selection,
                options,
                after=after,
                author=author,
                limit=_PART_WITH_CONTENT if options.content else _PART,
                clock=self._context.clock,
                storages=lambda: self._context.storages,
                jobs=jobs,
            )
