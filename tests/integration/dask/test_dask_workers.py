"""Workers of Dask that die, are cut off, leave, or are full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from distributed import Client

from databuild.executors.dask.dask_executor import DaskExecutor
from databuild.executors.executor import Placement, ProcessResult, ProcessSpec
from tests.engines.cluster import Cluster
from tests.integration.dask.conftest import Open, tasks_of
from tests.support.executors import Runs
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Job:
    """A run that writes its process ids, and ends once it is told to."""

    def __init__(self, executor: DaskExecutor, runs: Runs, name: str = "job") -> None:
        self._folder = runs.folder / name
        self._folder.mkdir()
        self.machine = ""
        self.lines: list[bytes] = []
        script = (
            f'sleep 1000 & echo $$ $! >> {self._folder}/pids; echo out; echo line >> "$DATABUILD_REPORT"; '
            f"while [ ! -e {self._folder}/go ]; do sleep 0.02; done; echo ended >> {self._folder}/ends; exit 3"
        )
        self.spec: ProcessSpec = runs.reporting(script)
        self.running = asyncio.create_task(executor.run(self.spec, self.lines.append, self._place))

    @property
    def starts(self) -> list[list[int]]:
        """The process ids of each time that it was started."""
        path = self._folder / "pids"
        return [[int(pid) for pid in line.split()] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def ends(self) -> int:
        """The number of times that it came to its end."""
        path = self._folder / "ends"
        return len(path.read_text().splitlines()) if path.exists() else 0

    async def started(self) -> Job:
        """Waits until the client knows that it has started."""
        await until(lambda: self.starts and self.machine)
        return self

    def finish(self) -> None:
        """Lets it end."""
        (self._folder / "go").touch()

    def _place(self, placement: Placement) -> None:
        self.machine = placement.machine or self.machine


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def worker_of(cluster: Cluster, machine: str) -> Callable[[], None]:
    """Returns a function that kills a worker."""
    worker = next(worker for worker in cluster.workers if machine.encode() in cmdline(worker.pid))
    return lambda: cluster.kill(worker)


def ended(cluster: Cluster, count: int) -> Callable[[], Awaitable[bool]]:
    """Returns a condition: the scheduler knows the ends of a number of runs."""

    async def condition() -> bool:
        return await tasks_of(cluster, "memory") == count

    return condition


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_a_killed_worker_leaves_no_process_and_its_run_is_lost(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    executor = await opened(own_cluster)
    job = await Job(executor, runs).started()

    worker_of(own_cluster, job.machine)()
    result = await job.running

    assert result.lost == f"the worker {job.machine} died or was cut off"
    await until(lambda: all(is_gone(pid) for pid in job.starts[0]))
    job.finish()
    assert (await executor.run(runs.shell("exit 5"))).exit_code == 5  # the other worker goes on
    assert (len(job.starts), job.ends) == (1, 0)
    await until(lambda: executor.capacity.processes == 1)


async def test_runs_that_wait_on_a_worker_that_dies_end_once(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(own_cluster)
    jobs = [await Job(executor, runs, f"job-{i}").started() for i in range(2)]
    waiting = [Job(executor, runs, f"waiting-{i}") for i in range(6)]
    for job in waiting:
        job.finish()
    await asyncio.sleep(0)

    worker_of(own_cluster, jobs[0].machine)()
    jobs[1].finish()
    results = await asyncio.gather(*(job.running for job in [*jobs, *waiting]))

    assert results[0].lost
    assert results[1].exit_code == 3
    for job, result in zip(waiting, results[2:], strict=True):
        assert (result.exit_code, len(job.starts), job.ends) == (3, 1, 1) or (result.lost and not job.starts)


async def test_a_stopped_worker_that_comes_back_tells_all(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(own_cluster)
    job = await Job(executor, runs).started()
    worker = next(worker for worker in own_cluster.workers if job.machine.encode() in cmdline(worker.pid))

    worker.send_signal(signal.SIGSTOP)
    job.finish()
    await until(lambda: job.ends)
    early = job.running.done()
    worker.send_signal(signal.SIGCONT)
    result = await job.running

    assert not early
    assert (result.exit_code, job.lines, len(job.starts)) == (3, [b"line"], 1)
    assert runs.stdout.read_text() == "out\n"


async def test_a_worker_that_is_cut_off_for_long_loses_its_run_and_ends_it(opened: Open, runs: Runs) -> None:
    with Cluster(env={"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2 s"}) as cluster:
        executor = await opened(cluster)
        job = await Job(executor, runs).started()
        worker = next(worker for worker in cluster.workers if job.machine.encode() in cmdline(worker.pid))

        worker.send_signal(signal.SIGSTOP)
        result = await job.running
        still_there = not is_gone(job.starts[0][0])
        worker.send_signal(signal.SIGCONT)

        assert result.lost == f"the worker {job.machine} died or was cut off"
        assert still_there
        await until(lambda: all(is_gone(pid) for pid in job.starts[0]))
        assert (len(job.starts), job.ends) == (1, 0)


async def test_a_run_that_dask_starts_again_is_not_run_twice(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(own_cluster)
    job = await Job(executor, runs).started()

    async with Client(own_cluster.address, asynchronous=True, set_as_default=False) as client:
        await client.retire_workers(names=[job.machine])
    result = await job.running

    assert result.lost == f"the worker {job.machine} left the cluster"
    await until(lambda: all(is_gone(pid) for pid in job.starts[0]))
    job.finish()
    assert (await executor.run(runs.shell("exit 5"))).exit_code == 5
    assert (len(job.starts), job.ends) == (1, 0)


async def test_the_death_of_a_worker_does_not_repeat_a_run_that_has_ended(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    first = await opened(own_cluster)
    handles: list[str] = []
    job = Job(first, runs)
    await job.started()
    abandoned = asyncio.create_task(first.run(job.spec, None, lambda placement: handles.append(placement.handle)))
    await until(lambda: len(job.starts) == 2 and handles)
    await first.close()
    job.finish()
    await until(lambda: job.ends == 2)
    await asyncio.gather(job.running, abandoned)
    await until(ended(own_cluster, 2))

    for worker in tuple(own_cluster.workers):
        own_cluster.kill(worker)
    own_cluster.start_worker()
    second = await opened(own_cluster)
    result = await second.resume(handles[0], job.spec)

    assert result.exit_code == 3
    assert runs.stdout.read_text() == "out\n"
    assert (await second.run(runs.shell("exit 5"))).exit_code == 5
    assert (len(job.starts), job.ends) == (2, 2)


async def test_output_that_went_with_its_worker_is_told(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    first = await opened(own_cluster)
    handles: list[str] = []
    spec = runs.shell("head -c 1000000 /dev/zero")
    abandoned = asyncio.create_task(first.run(spec, None, lambda placement: handles.append(placement.handle)))
    await until(lambda: handles)
    await first.close()
    await abandoned
    await until(ended(own_cluster, 1))
    second = await opened(own_cluster)
    for worker in tuple(own_cluster.workers):
        own_cluster.kill(worker)
    await until(lambda: second.capacity.reason.startswith("the 0"))

    result = await second.resume(handles[0], spec)

    assert result.exit_code == 0
    assert b"1000000 bytes are missing here: the worker that had them has gone" in runs.stdout.read_bytes()


async def test_a_killed_supervisor_leaves_no_process_and_the_next_run_has_another(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    executor = await opened(own_cluster)
    job = await Job(executor, runs).started()
    (leader, _) = job.starts[0]
    supervisor = int(Path(f"/proc/{leader}/stat").read_text().rsplit(")", 1)[1].split()[1])

    os.kill(supervisor, signal.SIGKILL)
    result = await job.running

    assert "the supervisor of the Dask worker was killed" in result.lost
    await until(lambda: all(is_gone(pid) for pid in job.starts[0]))
    results = await asyncio.gather(*(executor.run(runs.shell("exit 5")) for _ in range(4)))
    assert [result.exit_code for result in results] == [5] * 4


async def test_a_worker_that_ends_orderly_leaves_no_process(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    own_cluster.kill(own_cluster.workers[0])  # no other worker can take the run
    executor = await opened(own_cluster)
    job = await Job(executor, runs).started()
    worker = next(worker for worker in own_cluster.workers if job.machine.encode() in cmdline(worker.pid))

    worker.terminate()
    result = await job.running

    assert result.lost
    await until(lambda: all(is_gone(pid) for pid in job.starts[0]))
    assert (len(job.starts), job.ends) == (1, 0)


async def test_a_worker_with_a_full_disk_says_so(opened: Open, runs: Runs) -> None:
    with Cluster(workers=[]) as cluster:
        cluster.start_worker(disk="2m")
        executor = await opened(cluster)
        task = runs.folder / "task"
        task.write_bytes(b"x" * 5_000_000)

        results: list[ProcessResult] = [
            await executor.run(runs.shell("cat $DATABUILD_TASK", task=task)) for _ in range(2)
        ]
        after = await executor.run(runs.shell("exit 5"))

        for result in results:
            assert result.start_fault
            assert "No space left on device" in result.start_fault.message
            assert "the local directory of the Dask worker" in result.start_fault.message
        assert after.exit_code == 5  # what was written is removed


async def test_a_task_whose_resource_no_worker_has_waits_until_one_has(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    executor = await opened(own_cluster)
    placements: list[Placement] = []
    running = asyncio.create_task(
        executor.run(runs.shell("exit 4", properties={"resources.GPU": "1"}), None, placements.append)
    )
    other = await executor.run(runs.shell("exit 5"))
    waiting = list(placements)

    name = f"worker-{len(own_cluster.workers) + 1}"
    own_cluster.start_worker("--resources", "GPU=1")
    result = await running

    assert other.exit_code == 5
    assert [(bool(placement.handle), placement.machine) for placement in waiting] == [(True, "")]
    assert (result.exit_code, result.machine) == (4, name)
    assert placements[-1] == Placement(machine=name, queued_seconds=result.queued_seconds)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("OSFamily", "linux", "'OSFamily' is not a property of Dask; use resources.NAME"),
        ("resources.", "1", "'resources.' is not a property of Dask"),
        ("resources.GPU", "none", "the property 'resources.GPU' must be a positive number, not 'none'"),
        ("resources.GPU", "-1", "must be a positive number"),
    ],
)
async def test_properties_that_dask_does_not_have_are_refused(
    cluster: Cluster, opened: Open, runs: Runs, name: str, value: str, fault: str
) -> None:
    executor = await opened(cluster)

    result = await executor.run(runs.shell("true", properties={name: value}))

    assert fault in result.refused


async def test_a_timeout_that_the_worker_misses_is_kept_by_the_client(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    executor = await opened(own_cluster, overdue_seconds=0.1, confirm_seconds=1.0)
    job = await Job(executor, runs).started()
    with contextlib.suppress(asyncio.CancelledError):
        job.running.cancel()
        await job.running
    started = asyncio.Event()
    running = asyncio.create_task(
        executor.run(
            runs.shell("sleep 1000", timeout_seconds=0.5),
            None,
            lambda placement: started.set() if placement.machine else None,
        )
    )
    await started.wait()
    for worker in own_cluster.workers:
        worker.send_signal(signal.SIGSTOP)

    result = await running

    for worker in own_cluster.workers:
        worker.send_signal(signal.SIGCONT)
    assert "did not end the run at its timeout" in result.lost
