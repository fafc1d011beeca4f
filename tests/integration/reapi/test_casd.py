"""A real engine that dies, stops, forgets or is full, and clients that die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databuild.executors.executor import Placement
from databuild.executors.reapi.extension import ReapiExecutor
from databuild.executors.registry import ExecutorOptions
from tests.engines.casd import Casd
from tests.engines.fake_engine import QUICK
from tests.support.executors import Runs, long_sleep, sleeping
from tests.support.waiting import until
from tools.python import child

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENT = """
import asyncio, json, sys
from databuild.executors.executor import ProcessSpec
from databuild.executors.reapi.extension import open_executor
from databuild.executors.registry import ExecutorOptions

async def main():
    executor = open_executor(sys.argv[1], ExecutorOptions())
    await executor.connect()
    told = lambda placement: placement.handle and print(placement.handle, flush=True)
    await executor.run(ProcessSpec(**json.loads(sys.argv[2])), None, told)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def casd() -> Iterator[Casd]:
    engine = Casd()
    yield engine
    engine.close()


async def test_a_run_outlives_a_killed_client(casd: Casd, runs: Runs) -> None:
    seconds = long_sleep().replace("1000", "1", 1)
    spec = runs.reporting(f'echo out; echo line >> "$DATABUILD_REPORT"; sleep {seconds}; exit 9')
    options = {name: value for name, value in spec._asdict().items() if name not in {"task", "is_detached"}}
    client = await asyncio.create_subprocess_exec(
        *child.command("-c", CLIENT, casd.uri, json.dumps(options)), stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    handle = (await client.stdout.readline()).decode().strip()
    await until(lambda: sleeping(seconds))
    client.kill()
    await client.wait()
    lines: list[bytes] = []

    async with opened(casd) as executor:
        result = await executor.resume(handle, spec, lines.append)

    assert (result.exit_code, lines, runs.stdout.read_text()) == (9, [b"line"], "out\n")


async def test_an_engine_that_dies_and_restarts_has_lost_its_runs(casd: Casd, runs: Runs) -> None:
    seconds = long_sleep()
    async with opened(casd) as executor:
        running = asyncio.create_task(executor.run(runs.shell(f"sleep {seconds}; true")))
        await until(lambda: sleeping(seconds))

        casd.stop()
        casd.start()
        lost = await running
        after = await executor.run(runs.shell("exit 3"))

    assert "NOT_FOUND" in lost.lost
    assert after.exit_code == 3
    await until(lambda: not sleeping(seconds))


async def test_an_engine_that_hangs_for_a_while_loses_nothing(casd: Casd, runs: Runs) -> None:
    seconds = long_sleep().replace("1000", "0", 1)
    async with opened(casd) as executor:
        accepted = asyncio.Event()

        def on_placement(placement: Placement) -> None:
            accepted.set()

        running = asyncio.create_task(executor.run(runs.shell(f"sleep {seconds}; exit 5"), None, on_placement))
        await accepted.wait()
        casd.signal(signal.SIGSTOP)
        late = asyncio.create_task(executor.run(runs.shell("exit 6", stdout="")))
        await until(lambda: not sleeping(seconds))
        casd.signal(signal.SIGCONT)
        results = await asyncio.gather(running, late)

    assert [result.exit_code for result in results] == [5, 6]


async def test_a_process_that_is_killed_on_its_machine_has_failed(casd: Casd, runs: Runs) -> None:
    seconds = long_sleep()
    async with opened(casd) as executor:
        running = asyncio.create_task(executor.run(runs.shell(f"sleep {seconds}; true")))
        await until(lambda: sleeping(seconds))

        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if seconds.encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
        result = await running

    assert result.lost or result.exit_code != 0


async def test_code_that_the_engine_has_lost_is_sent_again(casd: Casd, runs: Runs) -> None:
    code = runs.code({"job": "#!/bin/sh\nexit 8\n"})
    spec = runs.spec(f"{code.root}/_main/job", code=code)
    async with opened(casd) as executor:
        first = await executor.run(spec)
        casd.stop()
        shutil.rmtree(casd.folder / "cache")
        casd.start()
        without = await executor.run(spec._replace(run_id="second"))  # this engine does not say that inputs are missing
        again = await executor.run(spec._replace(run_id="third"))

    assert (first.exit_code, bool(without.lost), again.exit_code, again.lost) == (8, True, 8, "")


async def test_a_store_without_room_loses_the_run(runs: Runs) -> None:
    small = Casd(arguments=("--quota-high=1M", "--reserved=0"))
    task = runs.folder / "task"
    task.write_bytes(os.urandom(8_000_000))
    try:
        async with opened(small) as executor:
            result = await executor.run(runs.shell("true", task=task))
    finally:
        small.close()

    assert "OutOfSpace" in result.lost


@contextlib.asynccontextmanager
async def opened(casd: Casd) -> AsyncIterator[ReapiExecutor]:
    executor = ReapiExecutor(casd.uri, ExecutorOptions(), QUICK)
    await executor.connect()
    try:
        yield executor
    finally:
        await executor.close()
