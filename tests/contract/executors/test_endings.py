"""Timeouts, cancellations and news of running processes, on every executor."""

from __future__ import annotations

import asyncio

import pytest

from databuild.executors.executor import UnconfirmedCancellationError
from databuild.executors.registry import ExecutorOptions
from tests.support.executors import SLOTS, ExecutorCase, Runs, long_sleep, sleeping
from tests.support.waiting import turns, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_process_over_its_timeout_is_ended(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions(grace_seconds=0.1))
    seconds = long_sleep()

    result = await executor.run(runs.shell(f"sleep {seconds}; true", timeout_seconds=1))

    assert result.timed_out
    assert result.exit_code < 0
    await until(lambda: not sleeping(seconds))


async def test_a_process_within_its_timeout_is_left_alone(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    result = await executor.run(runs.shell("exit 5", timeout_seconds=300))

    assert (result.exit_code, result.timed_out) == (5, False)


async def test_a_cancelled_process_ends(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions(grace_seconds=0.1))
    seconds = long_sleep()
    running = asyncio.create_task(executor.run(runs.shell(f"sleep {seconds}; true")))
    await until(lambda: sleeping(seconds))

    running.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await running

    assert not isinstance(cancelled.value, UnconfirmedCancellationError)
    if executor.capabilities.hard_cancel:
        assert not sleeping(seconds)
    await until(lambda: not sleeping(seconds))


async def test_a_process_that_was_cancelled_while_it_waited_never_runs(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions(grace_seconds=0.1))
    running = [long_sleep() for _ in range(SLOTS)]
    waiting = long_sleep()
    tasks = [asyncio.create_task(executor.run(runs.shell(f"sleep {seconds}; true"))) for seconds in running]
    await until(lambda: all(map(sleeping, running)))
    tasks += [asyncio.create_task(executor.run(runs.shell(f"sleep {waiting}; true"))) for _ in range(8)]
    await turns()

    for task in reversed(tasks):
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert not any(isinstance(end, UnconfirmedCancellationError) for end in ends)
    assert (await executor.run(runs.shell("exit 3"))).exit_code == 3  # a slot is free
    assert not sleeping(waiting)
    await until(lambda: not any(map(sleeping, running)))


async def test_output_and_reports_arrive_live_if_the_executor_says_so(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions(grace_seconds=0.1))
    if not executor.capabilities.live_logs:
        return
    seconds = long_sleep()
    lines: list[bytes] = []
    script = f'echo out; echo line >> "$DATABUILD_REPORT"; sleep {seconds}'
    running = asyncio.create_task(executor.run(runs.reporting(script), lines.append))
    await until(lambda: lines and runs.stdout.exists() and runs.stdout.read_text())
    still_running = not running.done()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert still_running
    assert (lines, runs.stdout.read_text()) == ([b"line"], "out\n")
