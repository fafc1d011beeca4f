"""Schedulers of Dask that go away, come back, or are not what they should be."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import pytest
from distributed import Client

from databuild.errors import ExecutorError, InvalidRequestError
from databuild.executors.dask.dask_executor import DaskExecutor
from databuild.executors.dask.extension import open_executor
from databuild.executors.executor import Placement, UnconfirmedCancellationError
from databuild.executors.registry import ExecutorOptions
from tests.engines.cluster import Cluster
from tests.integration.dask.conftest import Open, tasks_of
from tests.support.executors import Runs
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_runs_of_a_scheduler_that_was_restarted_are_lost_and_new_ones_run(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    executor = await opened(own_cluster)
    placements: list[Placement] = []
    running = asyncio.create_task(executor.run(runs.shell("sleep 1000"), None, placements.append))
    await until(lambda: placements and placements[-1].machine)

    own_cluster.kill(own_cluster.scheduler)
    own_cluster.start_scheduler()
    result = await running
    own_cluster.start_worker()

    assert "the scheduler of Dask does not know the run" in result.lost
    assert (await executor.run(runs.shell("exit 5"))).exit_code == 5
    later = await executor.resume(placements[0].handle, runs.shell("true"))
    assert "the scheduler of Dask was restarted since" in later.lost


async def test_a_connection_that_breaks_is_made_again_and_the_run_goes_on(
    own_cluster: Cluster, opened: Open, runs: Runs
) -> None:
    proxy = Proxy(own_cluster.port)
    async with proxy.serving() as port:
        executor = DaskExecutor(f"dask://127.0.0.1:{port}", ExecutorOptions())
        await executor.connect()
        lines: list[bytes] = []
        script = (
            f'echo out; echo one >> "$DATABUILD_REPORT"; while [ ! -e {runs.folder}/go ]; do sleep 0.02; done; '
            'echo later; echo two >> "$DATABUILD_REPORT"; exit 3'
        )
        running = asyncio.create_task(executor.run(runs.reporting(script), lines.append))
        await until(lambda: lines)

        proxy.break_connections()
        (runs.folder / "go").touch()
        result = await running
        await executor.close()

    assert (result.exit_code, lines) == (3, [b"one", b"two"])
    assert runs.stdout.read_text() == "out\nlater\n"
    assert proxy.connections > 4


async def test_a_resumed_run_tells_its_output_from_before_while_it_runs(
    cluster: Cluster, opened: Open, runs: Runs
) -> None:
    first = await opened(cluster)
    placements: list[Placement] = []
    lines: list[bytes] = []
    script = f'echo out; echo line >> "$DATABUILD_REPORT"; while [ ! -e {runs.folder}/go ]; do sleep 0.02; done; exit 3'
    spec = runs.reporting(script)
    abandoned = asyncio.create_task(first.run(spec, lines.append, placements.append))
    await until(lambda: lines and runs.stdout.exists())
    await first.close()
    assert (await abandoned).lost
    second = await opened(cluster)
    again: list[bytes] = []

    resumed = asyncio.create_task(second.resume(placements[0].handle, spec, again.append))
    await until(lambda: again and runs.stdout.exists() and runs.stdout.read_text())
    still_running = not resumed.done()
    (runs.folder / "go").touch()
    result = await resumed

    assert still_running
    assert (result.exit_code, again, runs.stdout.read_text()) == (3, [b"line"], "out\n")


async def test_runs_are_lost_when_the_scheduler_stays_away(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(own_cluster, reattach_seconds=0.5)
    placements: list[Placement] = []
    running = asyncio.create_task(executor.run(runs.shell("sleep 1000"), None, placements.append))
    await until(lambda: placements and placements[-1].machine)

    own_cluster.kill(own_cluster.scheduler)
    result = await running

    assert result.lost.startswith("the scheduler has not answered for 0.5 s: it cannot be reached: ")


async def test_a_cancellation_that_nobody_confirms_says_so(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(own_cluster, confirm_seconds=0.5)
    placements: list[Placement] = []
    running = asyncio.create_task(executor.run(runs.shell("sleep 1000"), None, placements.append))
    await until(lambda: placements and placements[-1].machine)
    for worker in own_cluster.workers:
        worker.send_signal(signal.SIGSTOP)

    running.cancel()
    running.cancel()
    with pytest.raises(UnconfirmedCancellationError):
        await running

    for worker in own_cluster.workers:
        worker.send_signal(signal.SIGCONT)


async def test_a_task_that_somebody_cancels_in_dask_is_lost(own_cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(own_cluster)
    placements: list[Placement] = []
    spec = runs.shell("true", properties={"resources.NONE": "1"})
    running = asyncio.create_task(executor.run(spec, None, placements.append))
    await until(lambda: placements)

    async with Client(own_cluster.address, asynchronous=True, set_as_default=False) as client:
        await client.restart(wait_for_workers=False)
    result = await running

    assert result.lost in {"the task was cancelled in Dask", "the cluster was restarted"}


async def test_clients_share_a_cluster_without_seeing_runs_of_each_other(
    cluster: Cluster, opened: Open, runs: Runs
) -> None:
    executors = [await opened(cluster) for _ in range(3)]
    specs = [runs.shell(f"exit {number}") for number in range(30)]

    results = await asyncio.gather(*(executors[index % 3].run(spec) for index, spec in enumerate(specs)))

    assert [result.exit_code for result in results] == list(range(30))


async def test_ended_runs_leave_nothing_on_the_cluster(cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(cluster)
    specs = [runs.shell("head -c 200000 /dev/zero"), runs.shell("echo small"), runs.spec("/no/such/program")]
    specs += [runs.shell("head -c 200000 /dev/zero", stdout="")]
    await asyncio.gather(*map(executor.run, specs))

    async def is_empty() -> bool:
        return await tasks_of(cluster) == 0

    await until(is_empty)
    folders = [
        path for path in cluster.folder.glob("*/dask-scratch-space/*/databuild_*/runs/*/*") if path.name != "work"
    ]
    await until(lambda: not [path for path in folders if path.exists()])


async def test_a_scheduler_that_repeats_tasks_is_refused(opened: Open) -> None:
    with Cluster(workers=[], allowed_failures="3") as cluster:
        with pytest.raises(ExecutorError) as refused:
            await opened(cluster)

        assert "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0" in refused.value.fault
        assert "up to 3 times" in refused.value.fault


async def test_nothing_at_the_address_is_said() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    executor = DaskExecutor(f"dask://127.0.0.1:{port}", ExecutorOptions())
    async with server:
        with pytest.raises(ExecutorError) as closes:
            await executor.connect()
    with pytest.raises(ExecutorError) as nothing:
        await executor.connect()

    assert "it is not a scheduler of Dask; check the port" in closes.value.fault
    assert "it cannot be reached: " in nothing.value.fault
    assert "check the address" in nothing.value.fault


@pytest.mark.parametrize(
    "uri", ["dask://", "dask://host:port", "dask://host:1/path", "dask://host:1?x=y", "dask://host:99999"]
)
async def test_an_invalid_address_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not the address of a scheduler of Dask"):
        open_executor(uri, ExecutorOptions())


async def test_the_address_has_a_default_port_and_no_password() -> None:
    assert open_executor("dask://me:secret@host", ExecutorOptions()).uri == "dask://host:8786"
    assert open_executor("dask+tls://[::1]:5", ExecutorOptions()).uri == "dask+tls://[::1]:5"


class Proxy:
    """Forwards connections to a port of this machine, and breaks them on request.

    Attributes:
        connections: The number of connections so far.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Listens, and returns its port."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.break_connections()

    def break_connections(self) -> None:
        """Breaks all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, other_writer]
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
