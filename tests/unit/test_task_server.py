"""The server of task descriptions: its answers, and clients that behave badly."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path

import pytest

from databuild.errors import EventLogError
from databuild.job.partitions import Task
from databuild.job.task_description import TaskDescriptionError, read_task
from databuild.orchestration.jobs.task_server import MAX_CONNECTIONS, TaskServer

LARGE = 40_000_000
"""Bytes of a description that no socket buffers."""


async def small() -> AsyncGenerator[bytes]:
    yield b'{"outputs": '
    yield b'[{"ref": "a/x"}]}'


async def large() -> AsyncGenerator[bytes]:
    for _ in range(LARGE // 1_000_000):
        yield b" " * 1_000_000


async def broken() -> AsyncGenerator[bytes]:
    yield b'{"outputs": '
    raise EventLogError("the disk is full")


RUNS = {"small": small, "large": large, "broken": broken}


def describe(job_run_id: str) -> AsyncGenerator[bytes] | None:
    return RUNS[job_run_id]() if job_run_id in RUNS else None


@pytest.fixture
def folder() -> Iterator[Path]:
    # The path of a socket has at most 107 bytes, and that of `tmp_path` may be longer.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[TaskServer]:
    opened = TaskServer(describe)
    opened.open(str(folder))
    yield opened
    await opened.close()


async def ask(server: TaskServer, request: bytes) -> bytes:
    """Sends bytes, and returns the whole response."""
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def read(server: TaskServer, job_run_id: str = "small") -> Task:
    environ = {"DATABUILD_TASK": server.path, "DATABUILD_JOB_RUN_ID": job_run_id}
    return await asyncio.to_thread(read_task, environ)


async def test_a_description_ends_with_its_connection_or_with_its_last_chunk(server: TaskServer) -> None:
    plain = await ask(server, b"GET /job_runs/small HTTP/1.0\r\n\r\n")
    chunked = await ask(server, b"GET /job_runs/small HTTP/1.1\r\nHost: task\r\n\r\n")

    assert plain.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    assert plain.endswith(b'\r\n\r\n{"outputs": [{"ref": "a/x"}]}')
    assert b"Transfer-Encoding: chunked\r\n" in chunked
    assert chunked.endswith(b'\r\n\r\nc\r\n{"outputs": \r\n11\r\n[{"ref": "a/x"}]}\r\n0\r\n\r\n')


@pytest.mark.parametrize(
    ("request_bytes", "status", "message"),
    [
        (b"GET /job_runs/other HTTP/1.0\r\n\r\n", b"404", b"no job run 'other' of this build is running"),
        (b"GET / HTTP/1.0\r\n\r\n", b"404", b"send GET /job_runs/JOB_RUN_ID"),
        (b"POST /job_runs/small HTTP/1.0\n\n", b"405", b"it must be GET"),
        (b"\x16\x03\x01\x00\xff\n\n", b"400", b"not HTTP"),
        (b"GET /job_runs/small", b"400", b"not complete"),
        (b"", b"400", b"not complete"),
        (b"GET /job_runs/small HTTP/1.0\r\n" + b"A: b\r\n" * 4000, b"431", b"not complete"),
    ],
)
async def test_a_request_that_makes_no_sense_is_explained_and_hurts_nobody(
    server: TaskServer, request_bytes: bytes, status: bytes, message: bytes
) -> None:
    answer = await ask(server, request_bytes)

    assert answer.split()[1] == status
    assert message in answer
    assert [output.ref for output in (await read(server)).outputs] == ["a/x"]


async def test_many_read_at_once(server: TaskServer) -> None:
    tasks = await asyncio.gather(*(read(server) for _ in range(3 * MAX_CONNECTIONS)))

    assert {task.outputs[0].ref for task in tasks} == {"a/x"}


async def test_a_client_that_goes_away_or_reads_nothing_delays_nobody(server: TaskServer) -> None:
    _, gone = await asyncio.open_unix_connection(server.path)
    gone.write(b"GET /job_runs/large HTTP/1.0\r\n\r\n")
    gone.transport.abort()
    stalled, writer = await asyncio.open_unix_connection(server.path)
    writer.write(b"GET /job_runs/large HTTP/1.0\r\n\r\n")

    assert (await read(server)).outputs[0].ref == "a/x"
    body = (await stalled.read()).partition(b"\r\n\r\n")[2]
    assert len(body) == LARGE
    writer.close()


async def test_clients_that_stall_make_room_for_others(folder: Path) -> None:
    server = TaskServer(describe, stall_seconds=0.05)
    server.open(str(folder))
    silent = [await asyncio.open_unix_connection(server.path) for _ in range(MAX_CONNECTIONS)]

    assert (await read(server)).outputs[0].ref == "a/x"
    for _, writer in silent:
        writer.close()
    await server.close()


async def test_a_description_that_cannot_be_read_to_its_end_is_no_description(server: TaskServer) -> None:
    with pytest.raises(TaskDescriptionError, match="is not complete"):
        await read(server, "broken")
    assert not (await ask(server, b"GET /job_runs/broken HTTP/1.1\r\n\r\n")).endswith(b"0\r\n\r\n")


async def test_an_unknown_run_is_an_error_of_the_job(server: TaskServer) -> None:
    with pytest.raises(TaskDescriptionError, match="no job run 'other' of this build is running"):
        await read(server, "other")


async def test_only_the_user_can_connect_and_nothing_is_left(folder: Path) -> None:
    server = TaskServer(describe)
    server.open(str(folder))
    path = Path(server.path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.parent == folder
    await server.close()
    assert list(folder.iterdir()) == []
    with pytest.raises(TaskDescriptionError, match="Its build has ended"):
        await read(server)


async def test_a_long_path_gives_way_to_a_short_one_without_the_sockets_of_the_dead(
    tmp_path: Path, folder: Path
) -> None:
    short = folder / "short-{user}"
    made = folder / f"short-{os.geteuid()}"
    made.mkdir(mode=0o700)
    left, new = made / "task-left", made / "task-new"
    for path in (left, new):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
    an_hour_ago = time.time() - 3600
    os.utime(left, (an_hour_ago, an_hour_ago))
    first, second = TaskServer(describe), TaskServer(describe)
    for server in (first, second):
        server.open(str(tmp_path / ("long" * 30)), str(short))
    os.utime(first.path, (an_hour_ago, an_hour_ago))
    third = TaskServer(describe)
    third.open("/nowhere", str(short))
    names = set(made.iterdir())

    # A socket that listens is in use, and a new one may be about to listen.
    assert names == {new, *(Path(server.path) for server in (first, second, third))}
    assert (await read(first)).outputs[0].ref == "a/x"
    for server in (first, second, third):
        await server.close()
    assert list(made.iterdir()) == [new]


@pytest.mark.parametrize("mode", [0o755, 0o770])
async def test_a_short_folder_that_others_may_enter_is_not_used(folder: Path, mode: int) -> None:
    short = folder / "short"
    short.mkdir()
    short.chmod(mode)
    server = TaskServer(describe)
    server.open("/nowhere", str(short))

    assert server.path == ""
    await server.close()
