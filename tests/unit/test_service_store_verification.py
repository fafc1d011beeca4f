"""Verification of stores in a service: the processes of jobs that are asked run on its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.model.store_check import StoreCheckOptions
from databuild.service.partitions.store_verification import StoreVerification
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.service.resources.service_context import ServiceContext
from databuild.storage.storages import Storages
from tests.support.build_world import World
from tests.support.fake_executor import NoProcesses
from tests.support.table_jobs import Table


class HangingExecutor(NoProcesses):
    """Runs processes that end some time after they were cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended: list[str] = []

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended.append(spec.argv[1])
        raise AssertionError("nothing ends the process")


async def test_a_request_that_is_cancelled_ends_the_processes_that_it_waits_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    Table(world)
    await world.build("b", "raw/1", "raw/2")
    executor = HangingExecutor()
    readers = ReaderPool(world.log.reader)
    context = ServiceContext(
        catalog=world.catalog,
        event_log=world.log,
        readers=readers,
        executor=executor,
        settings=world.settings,
        limits=Limits(),
        storages=Storages({}),
    )
    stores = StoreVerification(context)
    request = asyncio.create_task(stores.verify((), StoreCheckOptions(), after="", author="ann"))
    await executor.started.wait()

    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert executor.ended == ["check"]
    assert world.records("raw/1")["raw/1"].available
    readers.close()
    await world.log.close()
