"""The spawn server with real processes: queues, lost servers and lost clients."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from databuild.executors.executor import Capacity, NotStartedError, ProcessResult, ProcessSpec, RunQueue
from databuild.executors.local import MAX_QUEUE_SLOTS, MIN_EXPECTED_RUNS, PLAIN_SECONDS, RUN_VARIABLE, LocalExecutor
from databuild.executors.registry import ExecutorOptions
from tests.support.executors import BASE_ENV, SLOTS, QueueingExecutor, Runs, long_sleep, sleeping
from tests.support.waiting import until
from tools.python import child

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENT = """
import asyncio, sys
from pathlib import Path
from databuild.executors.executor import ProcessSpec
from databuild.executors.registry import ExecutorOptions
from tests.support.executors import QueueingExecutor

async def main():
    executor = QueueingExecutor(ExecutorOptions())
    await executor.start()
    await executor.run(ProcessSpec(argv=("/bin/sh", "-c", sys.argv[1]), env={}, cwd="/"))

asyncio.run(main())
"""


@pytest_asyncio.fixture(loop_scope="module")
async def executor() -> AsyncIterator[QueueingExecutor]:
    executor = QueueingExecutor(ExecutorOptions(grace_seconds=5))
    await executor.start()
    yield executor
    await executor.close()


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def servers_of(parent: int) -> list[int]:
    """Returns the spawn servers that a process has started and that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            command = status.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if fields["PPid"] == str(parent) and b"spawn_server_main" in command and fields["State"][0] not in "ZX":
            found.append(int(status.parent.name))
    return found


async def passed(executor: QueueingExecutor, spec: ProcessSpec) -> ProcessResult:
    """Passes a run to a queue with one slot; it may come back."""
    queue = RunQueue("one at a time", 1, lambda _time, _ended: None, lambda: True)
    return await LocalExecutor.run(executor, spec._replace(env={RUN_VARIABLE: "x", **spec.env}, queue=queue))


async def passed_behind(executor: QueueingExecutor, spec: ProcessSpec, name: str, *before: str) -> ProcessResult:
    """Passes a run with a name to a queue with many slots, behind other runs; it may come back."""
    queue = RunQueue("behind each other", 8, lambda _time, _ended: None, lambda: True, before)
    env = {RUN_VARIABLE: name, **spec.env}
    return await LocalExecutor.run(executor, spec._replace(env=env, run_id=name, queue=queue))


async def test_only_as_many_runs_as_slots_run_at_once(executor: QueueingExecutor, runs: Runs) -> None:
    log = runs.folder / "log"
    script = f"echo + >> {log}; sleep 0.02; echo - >> {log}"

    results = await asyncio.gather(*(executor.run(runs.shell(script)) for _ in range(20)))

    assert all(result.exit_code == 0 for result in results)
    depth = depths = 0
    for line in log.read_text().split():
        depth += 1 if line == "+" else -1
        depths = max(depths, depth)
    assert depths == SLOTS


@pytest.mark.parametrize("ending", ["exit 3", 'echo line >> "$DATABUILD_REPORT"', "kill -9 $$"])
async def test_a_run_that_is_not_plain_sends_those_behind_it_back(
    executor: QueueingExecutor, runs: Runs, ending: str
) -> None:
    go, ran = runs.folder / "go", runs.folder / "ran"
    first = asyncio.create_task(passed(executor, runs.reporting(f"until [ -e {go} ]; do sleep 0.01; done; {ending}")))
    others = [asyncio.create_task(passed(executor, runs.shell(f"touch {ran}"))) for _ in range(3)]
    await asyncio.sleep(0)  # all are passed

    go.touch()
    ends = await asyncio.gather(first, *others, return_exceptions=True)

    assert isinstance(ends[0], ProcessResult)
    assert all(isinstance(end, NotStartedError) for end in ends[1:])
    assert not ran.exists()


async def test_plain_runs_let_those_behind_them_start(executor: QueueingExecutor, runs: Runs) -> None:
    log = runs.folder / "log"

    await asyncio.gather(*(passed(executor, runs.shell(f"echo {number} >> {log}")) for number in range(20)))

    assert log.read_text().split() == [str(number) for number in range(20)]


async def test_runs_start_when_those_before_them_have_ended(executor: QueueingExecutor, runs: Runs) -> None:
    log = runs.folder / "log"

    def shell(name: str) -> ProcessSpec:
        return runs.shell(f"echo +{name} >> {log}; sleep 0.02; echo -{name} >> {log}")

    await asyncio.gather(
        passed_behind(executor, shell("a"), "a"),
        passed_behind(executor, shell("b"), "b"),
        passed_behind(executor, shell("c"), "c", "a", "b"),
        passed_behind(executor, shell("d"), "d", "c"),
        passed_behind(executor, shell("e"), "e", "d", "a"),
    )

    lines = log.read_text().split()
    assert set(lines[:2]) == {"+a", "+b"}
    assert set(lines[2:4]) == {"-a", "-b"}
    assert lines[4:] == ["+c", "-c", "+d", "-d", "+e", "-e"]


@pytest.mark.parametrize("ending", ["exit 3", 'echo line >> "$DATABUILD_REPORT"'])
async def test_runs_behind_a_run_that_is_not_plain_come_back(
    executor: QueueingExecutor, runs: Runs, ending: str
) -> None:
    go, ran = runs.folder / "go", runs.folder / "ran"
    first = runs.reporting(f"until [ -e {go} ]; do sleep 0.01; done; {ending}")
    passed = [asyncio.create_task(passed_behind(executor, first, "a"))]
    for name, before in (("b", "a"), ("c", "b"), ("d", "b")):
        passed.append(asyncio.create_task(passed_behind(executor, runs.shell(f"touch {ran}"), name, before)))
    await asyncio.sleep(0)  # all are passed

    go.touch()
    ends = await asyncio.gather(*passed, return_exceptions=True)

    assert isinstance(ends[0], ProcessResult)
    assert all(isinstance(end, NotStartedError) for end in ends[1:])
    assert not ran.exists()


async def test_a_run_behind_one_that_is_not_in_the_queue_comes_back(executor: QueueingExecutor, runs: Runs) -> None:
    with pytest.raises(NotStartedError):
        await passed_behind(executor, runs.shell("true"), "a", "elsewhere")


async def test_a_run_behind_one_that_is_coming_back_comes_back(executor: QueueingExecutor, runs: Runs) -> None:
    ran = runs.folder / "ran"

    async def one_after_the_other() -> ProcessResult:
        failed = await passed_behind(executor, runs.shell("exit 3"), "a")
        assert failed.exit_code == 3
        return await passed_behind(executor, runs.shell(f"touch {ran}"), "c", "b")  # before anybody knows of its return

    first = asyncio.create_task(one_after_the_other())
    second = asyncio.create_task(passed_behind(executor, runs.shell(f"touch {ran}"), "b", "a"))
    ends = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(end) for end in ends] == [NotStartedError, NotStartedError]
    assert not ran.exists()


async def test_a_run_that_waits_for_another_can_be_cancelled(executor: QueueingExecutor, runs: Runs) -> None:
    go = runs.folder / "go"
    first = runs.shell(f"until [ -e {go} ]; do sleep 0.01; done")
    passed = [asyncio.create_task(passed_behind(executor, first, "a"))]
    passed += [asyncio.create_task(passed_behind(executor, runs.shell("true"), *names)) for names in ("ba", "cb")]
    await asyncio.sleep(0)

    passed[1].cancel()
    ends = await asyncio.gather(*passed[1:], return_exceptions=True)
    go.touch()

    assert isinstance(ends[0], asyncio.CancelledError)
    assert isinstance(ends[1], NotStartedError)
    assert (await passed[0]).exit_code == 0


async def test_a_group_over_its_timeout_gets_term_and_the_grace_period(executor: QueueingExecutor, runs: Runs) -> None:
    script = "(trap 'echo bye; exit' TERM; while :; do sleep 0.05; done) & exec sleep 100"

    result = await executor.run(runs.shell(script, timeout_seconds=0.5))

    assert result.timed_out
    assert runs.stdout.read_text() == "bye\n"


async def test_a_process_that_is_left_behind_is_killed(executor: QueueingExecutor, runs: Runs) -> None:
    seconds = long_sleep()

    result = await executor.run(runs.shell(f"sleep {seconds} & exit 0"))

    assert result.exit_code == 0
    await until(lambda: not sleeping(seconds))


async def test_the_runs_of_a_killed_server_are_lost_and_end(executor: QueueingExecutor, runs: Runs) -> None:
    seconds = long_sleep()
    running = asyncio.create_task(executor.run(runs.shell(f"sleep {seconds}; true")))
    await until(lambda: sleeping(seconds))

    for server in servers_of(os.getpid()):
        os.kill(server, signal.SIGKILL)
    result = await running

    assert result.lost == "the process that starts short job runs has ended unexpectedly"
    assert not sleeping(seconds)
    assert executor.queue_room(SLOTS, SLOTS) is None
    assert (await executor.run(runs.shell("exit 4"))).exit_code == 4


async def test_a_run_that_is_cancelled_after_its_server_was_killed_ends(executor: QueueingExecutor, runs: Runs) -> None:
    seconds = long_sleep()
    script = f"trap '' TERM; sleep {seconds}; true"
    running = asyncio.create_task(executor.run(runs.shell(script)))
    await until(lambda: sleeping(seconds))

    for server in servers_of(os.getpid()):
        os.kill(server, signal.SIGKILL)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not sleeping(seconds)


async def test_a_process_inherits_no_other_descriptors_than_without_a_server(
    executor: QueueingExecutor, runs: Runs
) -> None:
    spec = runs.shell("ls /proc/self/fd", stdout="")

    served = await executor.run(spec)
    direct = await LocalExecutor.run(executor, spec)

    assert served.stdout == direct.stdout != b""


async def test_a_closed_executor_has_no_server(executor: QueueingExecutor) -> None:
    assert servers_of(os.getpid())

    await executor.close()

    assert not servers_of(os.getpid())


async def test_a_server_is_started_for_many_expected_runs_once_a_run_was_plain() -> None:
    executor = LocalExecutor(base_env=BASE_ENV, capacity=Capacity(1000, "the test"))
    executor.expect_runs(SLOTS, MIN_EXPECTED_RUNS)
    assert not servers_of(os.getpid())

    while not (await executor.run(ProcessSpec(argv=("/bin/true",), env={}, cwd="/"))).duration_seconds < PLAIN_SECONDS:
        pass
    executor.expect_runs(SLOTS, MIN_EXPECTED_RUNS - 1)
    executor.expect_runs(MAX_QUEUE_SLOTS + 1, MIN_EXPECTED_RUNS)
    assert not servers_of(os.getpid())
    executor.expect_runs(SLOTS, MIN_EXPECTED_RUNS)
    executor.expect_runs(SLOTS, MIN_EXPECTED_RUNS)

    await until(lambda: len(servers_of(os.getpid())) == 1)
    await executor.close()
    assert not servers_of(os.getpid())


async def test_a_killed_client_leaves_no_process() -> None:
    seconds = long_sleep()
    client = await asyncio.create_subprocess_exec(*child.command("-c", CLIENT, f"sleep {seconds}; true"))
    await until(lambda: sleeping(seconds))
    servers = servers_of(client.pid)

    client.kill()
    await client.wait()

    assert len(servers) == 1
    await until(lambda: not sleeping(seconds))
    await until(lambda: not Path(f"/proc/{servers[0]}").exists())
