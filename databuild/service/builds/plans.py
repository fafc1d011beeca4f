"""Plans, made apart from the event loop of the service, which planning would block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

from databuild.event_log.reads import Reader
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PartitionRecords
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.settings import Settings


class Planner:
    """Makes plans on an event loop of its own, so many at once."""

    def __init__(
        self,
        catalog: JobCatalog,
        open_reader: Callable[[], Reader],
        make_executor: Callable[[], Executor],
        settings: Settings,
        at_once: int,
    ) -> None:
        """Takes what all plans share.

        Args:
            catalog: The jobs.
            open_reader: Opens a reader of what is known of partitions.
            make_executor: Makes what runs the jobs' `config`, on the event loop that it will be used from.
            settings: Where it runs.
            at_once: How many plans are made at once.
        """
        self._catalog = catalog
        self._open_reader = open_reader
        self._make_executor = make_executor
        self._executor: Executor | None = None
        self._settings = settings
        self._places = asyncio.Semaphore(at_once)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def plan(
        self,
        requested: Sequence[str],
        *,
        options: PlanOptions = PlanOptions(),
        records: PartitionRecords | None = None,
    ) -> Plan:
        """Finds what a build of partitions would do, as `make_plan` does; cancelling this ends the job processes.

        Args:
            requested: What is asked for, ranges expanded.
            options: The options of the plan.
            records: What is known of partitions, instead of the event log.
        """
        async with self._places:
            making = self._make(requested, options, records)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(making, self._running_loop()))

    async def close(self) -> None:
        """Ends the plans that are being made, with their job processes, and the event loop."""
        if self._loop is not None and self._thread is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop))
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()
            self._loop = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="planning", daemon=True)
            self._thread.start()
        return self._loop

    async def _make(self, requested: Sequence[str], options: PlanOptions, records: PartitionRecords | None) -> Plan:
        if self._executor is None:
            self._executor = self._make_executor()
        with contextlib.ExitStack() as stack:
            past = None
            if records is None:
                records = past = stack.enter_context(contextlib.closing(self._open_reader()))
            return await make_plan(
                requested,
                catalog=self._catalog,
                reader=records,
                executor=self._executor,
                settings=self._settings,
                options=options,
                past=past,
            )


async def _cancel_others() -> None:
    """Cancels all other tasks of the event loop, and returns when they have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
