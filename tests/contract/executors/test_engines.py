"""The part of the contract that only executors with an engine have: placements, and runs that survive their client."""

from __future__ import annotations

import asyncio

import pytest

from databuild.executors.executor import (
    Placement,
    ProcessResult,
    ProcessSpec,
    RemoteExecutor,
    UnconfirmedCancellationError,
)
from databuild.executors.registry import ExecutorOptions
from tests.support.executors import SLOTS, RemoteCase, Runs, long_sleep, sleeping
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_uri_has_no_secret(remote_case: RemoteCase) -> None:
    executor = await remote_case.open(ExecutorOptions(headers={"authorization": "Bearer secret"}))

    assert "://" in executor.uri
    assert "secret" not in executor.uri


async def test_connecting_twice_is_connecting_once(remote_case: RemoteCase, runs: Runs) -> None:
    executor = await remote_case.open(ExecutorOptions())

    await executor.connect()

    assert (await executor.run(runs.shell("exit 6"))).exit_code == 6


async def test_there_is_room_for_several_runs(remote_case: RemoteCase) -> None:
    executor = await remote_case.open(ExecutorOptions())

    assert executor.capacity.processes >= 2
    assert executor.capacity.reason


async def test_acceptance_and_start_are_told(remote_case: RemoteCase, runs: Runs) -> None:
    executor = await remote_case.open(ExecutorOptions())
    placements: list[Placement] = []

    result = await executor.run(runs.shell("true"), None, placements.append)

    assert placements[0].handle
    assert [placement for placement in placements[1:] if placement.handle] == []
    assert placements[-1].queued_seconds == result.queued_seconds >= 0
    assert placements[-1].machine == result.machine


async def test_a_run_is_resumed_after_its_client_is_gone(remote_case: RemoteCase, runs: Runs) -> None:
    first = await remote_case.open(ExecutorOptions())
    if not first.capabilities.survives_client:
        return
    seconds = long_sleep().replace("1000", "1", 1)
    spec = runs.reporting(f'echo out; echo line >> "$DATABUILD_REPORT"; sleep {seconds}; echo later; exit 9')
    handle, abandoned = await start(first, spec)
    await until(lambda: sleeping(seconds))
    await remote_case.drop(first)
    assert (await abandoned).lost
    second = await remote_case.open(ExecutorOptions())
    lines: list[bytes] = []
    runs.stdout.write_text("of the first client\n")

    result = await second.resume(handle, spec, lines.append)

    assert result.exit_code == 9
    assert runs.stdout.read_text() == "out\nlater\n"
    assert lines == [b"line"]


async def test_a_resumed_run_can_be_cancelled(remote_case: RemoteCase, runs: Runs) -> None:
    first = await remote_case.open(ExecutorOptions())
    if not first.capabilities.survives_client:
        return
    seconds = long_sleep()
    spec = runs.shell(f"sleep {seconds}; true")
    handle, _ = await start(first, spec)
    await until(lambda: sleeping(seconds))
    await remote_case.drop(first)
    second = await remote_case.open(ExecutorOptions())
    resumed = asyncio.create_task(second.resume(handle, spec))
    await asyncio.sleep(0)

    resumed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resumed

    await until(lambda: not sleeping(seconds))


async def test_an_accepted_process_that_is_cancelled_while_it_waits_never_runs(
    remote_case: RemoteCase, runs: Runs
) -> None:
    executor = await remote_case.open(ExecutorOptions(grace_seconds=0.1))
    running = [long_sleep() for _ in range(SLOTS)]
    waiting = long_sleep()
    tasks = [(await start(executor, runs.shell(f"sleep {seconds}; true")))[1] for seconds in running]
    await until(lambda: all(map(sleeping, running)))
    tasks += [(await start(executor, runs.shell(f"sleep {waiting}; true")))[1] for _ in range(8)]

    for task in reversed(tasks):
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert not any(isinstance(end, UnconfirmedCancellationError) for end in ends)
    assert (await executor.run(runs.shell("exit 3"))).exit_code == 3
    assert not sleeping(waiting)


@pytest.mark.parametrize("handle", ["", "no handle", "{}", '{"operation": 1}', '{"operation": "unknown"}'])
async def test_a_run_that_the_engine_does_not_know_is_lost(remote_case: RemoteCase, runs: Runs, handle: str) -> None:
    executor = await remote_case.open(ExecutorOptions())

    result = await executor.resume(handle, runs.shell("true"))

    assert result.lost


async def start(executor: RemoteExecutor, spec: ProcessSpec) -> tuple[str, asyncio.Task[ProcessResult]]:
    """Submits a process. Returns its handle as soon as it has one, and the task that waits for its end."""
    handles: asyncio.Queue[str] = asyncio.Queue()

    def on_placement(placement: Placement) -> None:
        if placement.handle:
            handles.put_nowait(placement.handle)

    running = asyncio.create_task(executor.run(spec, None, on_placement))
    return await handles.get(), running
