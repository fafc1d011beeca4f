"""The server of task descriptions of one build: minimal HTTP over a Unix socket.

`GET /job_runs/JOB_RUN_ID` returns a description (https://www.rfc-editor.org/rfc/rfc9112). The server knows texts and
connections; it does not know tasks. Only the user of this process can connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Final

from databuild.errors import DataBuildError

MAX_CONNECTIONS: Final = 64
"""The number of connections that are served at once. Further ones wait in the queue of the socket."""

STALL_SECONDS: Final = 60.0
"""The time for which a client may send or take nothing. Then its connection is closed, for those that wait."""

SHORT_FOLDER: Final = "/tmp/databuild-{user}"  # noqa: S108 - opened only if it belongs to this user alone
"""The folder of sockets whose own folder has a path that is too long, or lies on a file system without sockets."""

_MAX_REQUEST_BYTES: Final = 16 * 1024
_PIECE_BYTES: Final = 256 * 1024
_MAX_PATH_BYTES: Final = 107
"""`sun_path` of unix(7) has 108 bytes, with the terminating zero."""

_ACCEPT_BACKOFF_SECONDS: Final = 0.1
_NEW_SECONDS: Final = 60.0
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
}

Describe = Callable[[str], AsyncGenerator[bytes] | None]


class TaskServer:
    """Serves the descriptions of one build while its job runs are running.

    Attributes:
        path: The path of the socket; empty if there is none.
    """

    def __init__(self, describe: Describe, *, stall_seconds: float = STALL_SECONDS) -> None:
        """Serves nothing yet.

        Args:
            describe: Returns the parts of the description of a job run; None if there is none.
            stall_seconds: The time for which a client may send or take nothing.
        """
        self.path = ""
        self._describe = describe
        self._stall_seconds = stall_seconds
        self._listening: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, folder: str, short_folder: str = SHORT_FOLDER) -> None:
        """Listens in a folder, or else in the short one; `path` stays empty if neither can hold a socket.

        Args:
            folder: An existing folder of this build. A socket that a killed process leaves there goes with the folder.
            short_folder: A folder that all builds of a user share, with `{user}` for the id of the user.
        """
        name = f"task-{os.urandom(4).hex()}"
        try:
            path = f"{folder}/{name}"
            self._listening = _listen(path)
        except OSError:
            try:
                path = f"{_own_folder(short_folder)}/{name}"
                self._listening = _listen(path)
            except OSError:
                return
        self.path = path
        self._start(self._accept(self._listening))

    async def close(self) -> None:
        """Closes all connections, and removes the socket."""
        for task in tuple(self._tasks):
            task.cancel()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:  # also if the build is cancelled meanwhile
            if self._listening is not None:
                self._listening.close()
                with contextlib.suppress(OSError):
                    os.unlink(self.path)  # noqa: PTH108

    def _start(self, coroutine: Coroutine[None, None, None], *at_end: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            # Also called for a task that was cancelled before it began.
            self._tasks.discard(task)
            for action in at_end:
                action()

        task.add_done_callback(ended)

    async def _accept(self, listening: socket.socket) -> None:
        free = asyncio.Semaphore(MAX_CONNECTIONS)
        while True:
            await free.acquire()
            await _readable(listening)
            try:
                connection, _ = listening.accept()
                connection.setblocking(False)
            except OSError:  # this process lacks descriptors, or the client is gone
                free.release()
                await asyncio.sleep(_ACCEPT_BACKOFF_SECONDS)
                continue
            self._start(self._serve(connection), connection.close, free.release)

    async def _serve(self, connection: socket.socket) -> None:
        # A client that is gone or stalls needs no answer. If the event log fails, the response lacks its end, and the
        # build reports the error.
        with contextlib.suppress(OSError, DataBuildError):
            await self._respond(_Stream(connection, self._stall_seconds))

    async def _respond(self, stream: _Stream) -> None:
        heading = await stream.read_heading()
        words = heading.partition(b"\n")[0].decode(errors="replace").split()
        if b"\n\n" not in heading:
            await stream.send_error(431 if len(heading) >= _MAX_REQUEST_BYTES else 400, "the request is not complete")
        elif len(words) != 3 or not words[2].startswith("HTTP/"):
            await stream.send_error(400, "the request is not HTTP; send `GET /job_runs/JOB_RUN_ID HTTP/1.0`")
        elif words[0] != "GET":
            await stream.send_error(405, f"the method is {words[0][:20]!r}; it must be GET")
        else:
            await self._send_description(stream, words[1], chunked=words[2] != "HTTP/1.0")

    async def _send_description(self, stream: _Stream, path: str, *, chunked: bool) -> None:
        prefix, _, job_run_id = path.rpartition("/")
        if prefix != "/job_runs":
            await stream.send_error(404, f"there is nothing at {path[:80]!r}; send GET /job_runs/JOB_RUN_ID")
            return
        parts = self._describe(job_run_id)
        if parts is None:
            await stream.send_error(404, f"no job run {job_run_id[:160]!r} of this build is running")
            return
        async with contextlib.aclosing(parts):
            await stream.send_heading(200, "application/json", chunked=chunked)
            async for part in parts:
                await stream.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            if chunked:
                await stream.send(b"0\r\n\r\n")


class _Stream:
    """A connection on which each step has a time limit; raises TimeoutError, which is an OSError."""

    def __init__(self, connection: socket.socket, stall_seconds: float) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._stall_seconds = stall_seconds

    async def read_heading(self) -> bytes:
        """Returns a request up to its empty line, with newlines alone; less if it ends early, or if it is too long."""
        heading = b""
        while b"\n\n" not in heading and len(heading) < _MAX_REQUEST_BYTES:
            async with asyncio.timeout(self._stall_seconds):
                received = await self._loop.sock_recv(self._connection, _MAX_REQUEST_BYTES)
            if not received:
                break
            heading = (heading + received).replace(b"\r\n", b"\n")
        return heading

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # A slow client gets the whole time for each piece.
            async with asyncio.timeout(self._stall_seconds):
                await self._loop.sock_sendall(self._connection, view[:_PIECE_BYTES])
            view = view[_PIECE_BYTES:]

    async def send_heading(self, status: int, content_type: str, *, chunked: bool = False) -> None:
        coding = "Transfer-Encoding: chunked\r\n" if chunked else ""
        await self.send(
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\n{coding}"
            "Connection: close\r\n\r\n".encode()
        )

    async def send_error(self, status: int, message: str) -> None:
        await self.send_heading(status, "text/plain; charset=utf-8")
        await self.send(f"{message}\n".encode())


async def _readable(listening: socket.socket) -> None:
    """Waits for a connection. `loop.sock_accept` would load the module `ssl`, also if no job ever connects."""
    loop = asyncio.get_running_loop()
    connected = asyncio.Event()
    loop.add_reader(listening, connected.set)
    try:
        await connected.wait()
    finally:
        loop.remove_reader(listening)


def _listen(path: str) -> socket.socket:
    """Returns a listening socket.

    Raises:
        OSError: There cannot be a socket at this path.
    """
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        # Linux creates the file with the mode of the socket, so nobody else can connect even for a moment.
        os.fchmod(listening.fileno(), stat.S_IRUSR | stat.S_IWUSR)
        listening.bind(path)
        listening.listen(socket.SOMAXCONN)
    except OSError:
        listening.close()
        raise
    return listening


def _own_folder(path: str) -> str:
    """Returns a folder of sockets that only this user can enter. Removes the sockets of processes that have died.

    Raises:
        OSError: The folder cannot be made, or belongs to somebody else.
    """
    user = os.geteuid()
    folder = path.format(user=user)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, stat.S_IRWXU)  # noqa: PTH102
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), folder)
    for name in os.listdir(folder):  # noqa: PTH208
        _remove_if_dead(f"{folder}/{name}")
    return folder


def _remove_if_dead(path: str) -> None:
    """Removes a socket on which no process listens."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        # A socket between its bind and its listen refuses as well, so a new one is left alone.
        if probe.connect_ex(path) == errno.ECONNREFUSED and time.time() - os.stat(path).st_mtime > _NEW_SECONDS:  # noqa: PTH116
            os.unlink(path)  # noqa: PTH108
