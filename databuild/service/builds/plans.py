"""Planning on a separate event loop, since it would block the event loop of the service for long."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from databuild.event_log.reads import Reader
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PartitionRecords
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.orchestration.build.data_checks import job_look
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.stores.planned_losses import plan_without_losses


class Planner:
    """Makes plans on an event loop in a thread of its own.

    Args:
        catalog: The jobs.
        open_reader: Opens a reader of the event log.
        make_executor: Returns an executor for the `config` of jobs. Called on the event loop of the plans.
        settings: The directories of job processes.
        max_plans: The number of plans that are made at once. Further plans wait.
    """

    def __init__(
        self,
        catalog: JobCatalog,
        open_reader: Callable[[], Reader],
        make_executor: Callable[[], ProcessExecutor],
        settings: Settings,
        max_plans: int,
    ) -> None:
        self._catalog = catalog
        self._open_reader = open_reader
        self._make_executor = make_executor
        self._executor: ProcessExecutor | None = None
        self._settings = settings
        self._slots = asyncio.Semaphore(max_plans)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._plans: set[asyncio.Task[Any]] = set()

    async def plan(
        self,
        requested: Sequence[str],
        *,
        options: PlanOptions = PlanOptions(),
        records: PartitionRecords | None = None,
        verify: str = "none",
    ) -> Plan:
        """Makes a plan as `make_plan` does, with its errors. Cancelling the call ends its job processes.

        Args:
            requested: The requested refs, with ranges expanded.
            options: The options of the plan.
            records: The records of partitions; None to read them from the event log.
            verify: The data to look for in its store, one of `VERIFY_POLICIES`. Given records are not verified.

        Raises:
            StorageError: A whole folder with many partitions is gone, so that its disk may not be mounted.
        """
        async with self._slots:
            coroutine = self._make(requested, options, records, verify)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._ensure_loop()))

    async def close(self) -> None:
        """Cancels plans that are being made, ends their job processes, and stops the event loop."""
        if self._loop is not None and self._thread is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end_plans(), self._loop))
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()
            self._loop = None

    async def _end_plans(self) -> None:
        for plan in self._plans:
            plan.cancel()
        await asyncio.gather(*self._plans, return_exceptions=True)
        if self._executor is not None:
            await self._executor.close()

    def _ensure_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # A daemon, so that a plan that hangs cannot keep the process alive.
            self._thread = threading.Thread(target=self._loop.run_forever, name="planning", daemon=True)
            self._thread.start()
        return self._loop

    async def _make(
        self, requested: Sequence[str], options: PlanOptions, records: PartitionRecords | None, verify: str
    ) -> Plan:
        plan = asyncio.current_task()
        assert plan is not None
        self._plans.add(plan)
        plan.add_done_callback(self._plans.discard)
        # An executor belongs to the event loop on which it is made.
        if self._executor is None:
            self._executor = self._make_executor()
        if records is not None:
            return await self._plan_with(records, None, requested, options)
        with contextlib.closing(self._open_reader()) as reader:
            return await plan_without_losses(
                lambda left: self._plan_with(left, reader, requested, options),
                records=reader,
                stored=reader,
                verify=verify,
                extensions=self._catalog.extensions,
                jobs=job_look(self._catalog, reader, self._executor, self._settings),
            )

    async def _plan_with(
        self, records: PartitionRecords, past: Reader | None, requested: Sequence[str], options: PlanOptions
    ) -> Plan:
        assert self._executor is not None
        return await make_plan(
            requested,
            catalog=self._catalog,
            reader=records,
            executor=self._executor,
            settings=self._settings,
            options=options,
            past=past,
        )
