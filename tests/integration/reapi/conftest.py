"""An engine in this process for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from databuild.executors.reapi.extension import ReapiExecutor
from databuild.executors.registry import ExecutorOptions
from tests.engines.fake_engine import QUICK, FakeEngine
from tests.support.executors import Runs


@pytest_asyncio.fixture(loop_scope="module")
async def engine() -> AsyncIterator[FakeEngine]:
    started = FakeEngine()
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def executor(engine: FakeEngine) -> AsyncIterator[ReapiExecutor]:
    connected = ReapiExecutor(engine.uri, ExecutorOptions(), QUICK)
    await connected.connect()
    yield connected
    await connected.close()


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)
