"""Many concurrent requests: nothing is lost, and the service needs a bounded amount of memory.

The maximum delay of the event loop is printed (`pytest -s`) but not asserted, since machines differ.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest

from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.present import present
from tests.support.script_graph import ScriptGraph, ServedGraph
from tests.support.waiting import until

WATCHERS = 200
SUBMISSIONS = 1000
MEBIBYTES = 250
"""Maximum memory of the process, relative to that of an idle process."""

# All refs of a request are one task, so many events cost one process. It waits if the first ref begins with `wait`.
ALL_AT_ONCE = r"""#!/bin/bash
mode=$1
shift
if [[ $mode == config ]]; then
  outputs=$(printf ', {"str": "%s"}' "$@")
  printf '{"configs": [{"outputs": [%s], "args": ["%s"]}]}\n' "${outputs:2}" "$1"
elif [[ $1 == number/wait* ]]; then
  touch waiting
  while [[ ! -e go ]]; do sleep 0.02; done
fi
"""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path)
    (tmp_path / "number").write_text(ALL_AT_ONCE)
    yield graph
    graph.close()


class Asking:
    """Sends all requests over HTTP concurrently, with little work for each."""

    def __init__(self, service: ServedGraph) -> None:
        self.service = service
        self.port = int(service.addresses["http"].rpartition(":")[2])

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        read: Callable[[asyncio.StreamReader], Awaitable[bytes]] = lambda reader: reader.read(),
    ) -> tuple[int, bytes]:
        """Returns the status and the content of the response."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=1 << 16)
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        writer.write(head.encode() + data)
        answer = await read(reader)
        writer.close()
        first, _, text = answer.partition(b"\r\n\r\n")
        return int(first.split()[1]), text

    async def watch(
        self, build: str, read: Callable[[asyncio.StreamReader], Awaitable[bytes]] = lambda reader: reader.read()
    ) -> tuple[list[int], bool]:
        """Returns the sequence numbers of the received events, and True if the stream had its end event."""
        status, text = await self.ask("GET", f"/builds/{build}/watch", read=read)
        assert status == 200, text
        return [int(number) for number in re.findall(rb"^id: (\d+)\r?$", text, re.MULTILINE)], b"event: end" in text

    async def watchers(self, number: int) -> None:
        """Waits until the count is reached."""

        async def so_many() -> bool:
            return f"\ndatabuild_watchers {number}.0\n" in await self.metrics()

        await until(so_many)

    async def metrics(self) -> str:
        status, text = await asyncio.to_thread(self.service.ask, "GET", "/metrics")
        assert status == 200
        return str(text)

    async def judge_memory(self) -> None:
        """Checks the peak memory of the service, and prints the delay of its event loop."""
        status = Path(f"/proc/{self.service.process.pid}/status").read_text(encoding="ascii")
        peak = int(present(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE))[1]) >> 10
        lag = present(re.search(r"^databuild_event_loop_lag_seconds (\S+)$", await self.metrics(), re.MULTILINE))[1]
        print(f"the event loop was held up for {float(lag):.3f} s at most, and the process held {peak} MiB")
        assert peak < MEBIBYTES


async def test_very_many_watch_a_build_and_each_gets_each_event_once(graph: ScriptGraph) -> None:
    service = graph.serve()
    asking = Asking(service)
    build = service.build("number/wait", *(f"number/x{n}" for n in range(100)))
    await until((graph.folder / "waiting").exists)
    early = [asyncio.create_task(asking.watch(build)) for _ in range(WATCHERS - 50)]
    await asking.watchers(WATCHERS - 50)

    (graph.folder / "go").touch()
    late = [asyncio.create_task(asking.watch(build)) for _ in range(50)]

    results = await asyncio.gather(*early, *late)
    last = int(service.get(f"/builds/{build}")["last_sequence"])
    assert last > 400
    assert {(tuple(numbers), ended) for numbers, ended in results} == {(tuple(range(1, last + 1)), True)}
    await asking.watchers(0)
    await asking.judge_memory()


async def test_a_slow_watcher_gets_everything_and_costs_no_memory(graph: ScriptGraph) -> None:
    """The events of this time exceed the buffers of the kernel and of gRPC."""
    service = graph.serve()
    asking = Asking(service)
    build = service.build("number/wait", *(f"number/{'x' * 900}{n}" for n in range(2000)))
    await until((graph.folder / "waiting").exists)
    read_on = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader) -> bytes:
        beginning = await reader.readuntil(b"id: 1\n")
        await read_on.wait()
        return beginning + await reader.read()

    # Otherwise, the buffers of gRPC grow with the speed of the connection.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16)]

    async def slowly_over_grpc() -> tuple[list[int], bool]:
        async with grpc.aio.insecure_channel(service.addresses["grpc"], options=options) as channel:
            watching = DataBuildServiceStub(channel).WatchBuild(sv.WatchBuildRequest(build_request_id=build))
            numbers: list[int] = []
            while (answer := await watching.read()) is not grpc.aio.EOF:
                numbers.extend(event.sequence for event in answer.events)
                await read_on.wait()
            return numbers, True

    slow = [asyncio.create_task(asking.watch(build, slowly)) for _ in range(4)]
    slow += [asyncio.create_task(slowly_over_grpc()) for _ in range(4)]
    await asking.watchers(8)
    (graph.folder / "go").touch()

    numbers, ended = await asking.watch(build)
    assert (numbers, ended) == (list(range(1, len(numbers) + 1)), True)
    assert len(numbers) > 8000
    await asking.watchers(8)
    read_on.set()
    assert {(tuple(seen), told) for seen, told in await asyncio.gather(*slow)} == {(tuple(numbers), True)}
    await asking.judge_memory()


async def test_a_burst_of_submissions_is_taken_and_every_build_has_its_place_and_its_end(graph: ScriptGraph) -> None:
    service = graph.serve("--max_builds=1", "--drain_seconds=0")
    asking = Asking(service)
    service.build("number/wait")
    await until((graph.folder / "waiting").exists)
    ids = [f"burst-{number:04}" for number in range(SUBMISSIONS)]

    bodies = [{"build_request_id": build, "partitions": [f"number/{build}"]} for build in ids]
    answers = await asyncio.gather(*(asking.ask("POST", "/builds", body) for body in bodies))

    assert {status for status, _ in answers} == {200}
    waiting = service.get(f"/builds?status=RECEIVED&page_size={SUBMISSIONS}")["builds"]
    assert sorted(build["build_request_id"] for build in waiting) == ids
    assert sorted(build["queue_position"] for build in waiting) == list(range(1, SUBMISSIONS + 1))
    assert "\ndatabuild_builds_waiting 1000.0\n" in await asking.metrics()
    await asking.judge_memory()
    assert service.end()[0] == 0
    code, out, err = graph.run("builds", "--status=CANCELLED", "--limit=2000", "--output=json")
    assert code == 0, err
    assert len(json.loads(out)["builds"]) == SUBMISSIONS + 1
