"""Events over HTTP: without gaps or duplicates, at the speed of each reader."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from databuild.service.resources.limits import Limits
from tests.support.served import Serve, Served, sent_events
from tests.support.waiting import until


@pytest.mark.parametrize("by", ["header", "query"])
async def test_watching_resumes_without_gap_or_double(served: Served, by: str) -> None:
    build = await served.build("clean/1")
    everything = await served.events(f"/builds/{build}/watch")

    for after in (1, 7, len(everything) - 1, len(everything) + 3):
        if by == "header":
            rest = await served.events(f"/builds/{build}/watch", last=after)
        else:
            rest = await served.events(f"/builds/{build}/watch", after_sequence=after)
        assert rest == (everything[after:] or everything[-1:])


async def test_a_watcher_that_was_cut_off_goes_on_where_it_was(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    answer = await served.post("/builds", {"partitions": ["clean/1"]})
    build = answer.json()["build_request_id"]
    async with served.client.stream("GET", f"/api/v1/builds/{build}/watch") as watching:
        seen = []
        async for event in sent_events(watching):
            seen.append(event)
            if len(seen) == 3:
                break

    gate.open()
    seen += await served.events(f"/builds/{build}/watch", last=seen[-1][0])

    assert [name for name, _, _ in seen[:-1]] == [str(number) for number in range(1, len(seen))]
    assert seen[-1][1] == "end"


async def test_a_watcher_that_reads_too_slowly_holds_up_nobody_and_is_disconnected(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(Limits(send_timeout_seconds=2.0))
    refs = [f"raw/{'x' * 900}{number}" for number in range(1500)]  # more than the buffers of a connection in the kernel
    build = await served.build(*refs, options={"jobs": 20})
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    port = int(served.http.rpartition(":")[2])
    await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", port))
    _, writer = await asyncio.open_connection(sock=slow, limit=1024)
    writer.write(f"GET /api/v1/builds/{build}/watch HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await writer.drain()

    assert (await served.events(f"/builds/{build}/watch"))[-1][1] == "end"

    async def nobody_watches() -> bool:
        return "databuild_watchers 0.0" in (await served.client.get("/metrics")).text

    await until(nobody_watches)  # reads nothing meanwhile
    await until(lambda: f"the response to GET /api/v1/builds/{build}/watch is truncated" in caplog.text)
    writer.close()


async def test_watchers_of_one_build_all_see_all_of_it(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["clean/1"], "build_request_id": "b"})
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=served.http, trust_env=False, limits=limits, timeout=30) as client:

        async def watch() -> list[str | None]:
            async with client.stream("GET", "/api/v1/builds/b/watch") as answer:
                return [name async for name, _, _ in sent_events(answer)]

        watchers = [asyncio.create_task(watch()) for _ in range(100)]
        await gate.reached.wait()
        gate.open()
        seen = await asyncio.gather(*watchers)

    assert {tuple(ids) for ids in seen} == {(*(str(number) for number in range(1, len(seen[0]))), None)}
