"""The agent on a worker of Dask: claims runs, gets their code, and hands them to the supervisor process of the worker.

This module is sent to workers as source text. It imports the standard library and distributed alone. The supervisor has
the modules of DataBuild that it needs from the agent, in a directory of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pickle
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from distributed import WorkerPlugin, get_worker

if TYPE_CHECKING:
    from distributed import Worker

ASK_SECONDS: Final = 5.0
"""The time between two requests for code that does not arrive."""

CODE_SECONDS: Final = 600.0
"""The time for which a run waits for its code while no part of it arrives."""

_START: Final = "import sys; sys.path.insert(0, sys.argv[1]); from databuild.executors.dask import supervisor as s; s.main()"
_LENGTH_BYTES: Final = 4


class CodeMissingError(Exception):
    """The code of a run did not arrive, or cannot be unpacked."""


class Agent(WorkerPlugin):
    """Runs job processes for the tasks of a worker."""

    idempotent = True

    def __init__(self, name: str, modules: Mapping[str, str]) -> None:
        """Starts nothing yet.

        Args:
            name: The name of the plugin and the prefix of its handlers.
            modules: The source text of the modules of the supervisor, by path.
        """
        self.name = name
        self._modules = modules

    def setup(self, worker: Worker) -> None:
        self._worker = worker
        self._folder = Path(worker.local_directory) / self.name
        self._supervisor: _Supervisor | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count()
        self._folders: dict[str, str] = {}
        self._code: dict[str, asyncio.Task[str]] = {}
        self._wanted: dict[str, set[str]] = {}
        self._transfers: dict[str, _Transfer] = {}
        self._waiting: dict[str, asyncio.Task[tuple[_Supervisor, str]]] = {}
        worker.handlers.update({f"{self.name}_read": self.read, f"{self.name}_code": self.receive_code})
        worker.stream_handlers[f"{self.name}_cancel"] = self.cancel

    async def teardown(self, worker: Worker) -> None:
        if self._supervisor is not None:
            await self._supervisor.close()

    async def run(self, run_id: str, job: Mapping[str, Any]) -> None:
        """Runs a process to its end, unless it was claimed before."""
        if not await self._scheduler_call("claim", run=run_id, worker=self._worker.address):
            return
        folder = str(self._folder / "runs" / str(next(self._numbers)))
        self._folders[run_id] = folder
        waiting = self._waiting[run_id] = asyncio.create_task(self._prepare(run_id, job["code"]))
        try:
            supervisor, tree = await waiting
            del self._waiting[run_id]
            result = await supervisor.run(run_id, {**job, "folder": folder, "tree": tree})
        except asyncio.CancelledError:
            if not waiting.cancelled():  # the worker is closing
                raise
            result = {"cancelled": True}
        except (CodeMissingError, OSError) as error:
            result = {"fault": f"{error}; see the local directory of the Dask worker, {self._worker.local_directory}"}
        finally:
            self._waiting.pop(run_id, None)
        if result.get("complete", True):
            del self._folders[run_id]
        self._send("ended", run=run_id, result=result)

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Removes the output of a run when nobody wants its task any more."""
        if type(key) is tuple and len(key) == 2 and finish in {"released", "forgotten"} and start == "memory":
            folder = self._folders.pop(key[1], None)
            if folder is not None and self._supervisor is not None:
                self._supervisor.remove(folder)

    def cancel(self, run: str, **_: Any) -> None:
        """Ends the process of a run, or its wait for code."""
        if run in self._waiting:
            self._waiting[run].cancel()
        elif self._supervisor is not None:
            self._supervisor.cancel(run)

    def forward(self, run_id: str, message: Mapping[str, Any]) -> None:
        """Sends a message to the client of a run."""
        self._send("forward", run=run_id, message=dict(message))

    def read(self, run: str, stream: str, offset: int, size: int) -> bytes | None:
        """Returns a part of the output or the report of a run; None if it is not here any more."""
        folder = self._folders.get(run)
        if folder is None:
            return None
        try:
            # A job may put anything at the path of its report. Without O_NONBLOCK, opening a FIFO would block.
            descriptor = os.open(f"{folder}/{stream}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, size, offset) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        finally:
            os.close(descriptor)

    async def receive_code(self, digest: str, offset: int, data: bytes, sha256: str, fault: str) -> bool:
        """Writes a part of an archive of code.

        Args:
            digest: The digest of the code.
            offset: The position of the part.
            data: The part.
            sha256: The hash of the archive if this is its last part; empty otherwise.
            fault: The reason why the client cannot send the code; empty if it can.

        Returns:
            True if the next part is welcome.
        """
        transfer = self._transfers.get(digest)
        if transfer is None or transfer.size != offset:
            return False
        if fault:
            transfer.complete.set_exception(CodeMissingError(fault))
            del self._transfers[digest]
            return False
        await asyncio.to_thread(transfer.write, data)
        if sha256:
            transfer.complete.set_result(sha256)
            del self._transfers[digest]
        return True

    # Details.

    async def _scheduler_call(self, name: str, **arguments: Any) -> Any:
        return await getattr(self._worker.scheduler, f"{self.name}_{name}")(**arguments)

    def _send(self, name: str, **message: Any) -> None:
        self._worker.batched_send({"op": f"{self.name}_{name}", **message})

    async def _started_supervisor(self) -> _Supervisor:
        async with self._starting:
            if self._supervisor is None or self._supervisor.dead:
                self._supervisor = _Supervisor(self)
                await self._supervisor.start(self._folder, self._modules)
        return self._supervisor

    async def _prepare(self, run_id: str, code: Mapping[str, Any] | None) -> tuple[_Supervisor, str]:
        """Returns the supervisor, and the directory of the code of a run; empty if the program is at its own path."""
        tree = ""
        if code is not None:
            task = self._code.get(code["digest"])
            if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
                task = self._code[code["digest"]] = asyncio.create_task(self._find_code(code))
            wanted = self._wanted.setdefault(code["digest"], set())
            wanted.add(run_id)
            try:
                tree = await asyncio.shield(task)
            finally:
                wanted.discard(run_id)
        return await self._started_supervisor(), tree

    async def _find_code(self, code: Mapping[str, Any]) -> str:
        supervisor = await self._started_supervisor()
        if await supervisor.call("shared", code):
            return ""
        folder = self._folder / "code"
        folder.mkdir(parents=True, exist_ok=True)
        digest = code["digest"]
        number = next(self._numbers)
        transfer = self._transfers[digest] = _Transfer(folder / f"{number}.tar")
        size, changed = -1, time.monotonic()
        try:
            while not transfer.complete.done():
                if transfer.size != size:
                    size, changed = transfer.size, time.monotonic()
                elif time.monotonic() > changed + CODE_SECONDS:
                    raise CodeMissingError("no client sent the code of the run")
                else:
                    for run_id in self._wanted[digest]:  # their clients may have gone
                        self.forward(run_id, {"event": "need_code", "digest": digest})
                await asyncio.wait([transfer.complete], timeout=ASK_SECONDS)
            transfer.close()
            tree = str(folder / str(number))
            fault = await supervisor.call("unpack", (str(transfer.path), transfer.complete.result(), tree))
            if fault:
                raise CodeMissingError(f"the code of the run cannot be unpacked: {fault}")
            return tree
        finally:
            self._transfers.pop(digest, None)
            transfer.close()
            with contextlib.suppress(OSError):
                transfer.path.unlink()


class _Transfer:
    """An archive of code that is arriving."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.complete: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._file = path.open("wb")

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)

    def close(self) -> None:
        self._file.close()


class _Supervisor:
    """The process that starts, watches and ends the job processes of a worker."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._process: asyncio.subprocess.Process | None = None
        self._runs: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._reading: asyncio.Task[None] | None = None
        self.dead = False

    async def start(self, folder: Path, modules: Mapping[str, str]) -> None:
        library = folder / "library"
        for name, source in modules.items():
            path = library / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-c", _START, str(library), str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=str(folder),
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read())

    async def run(self, run_id: str, job: Mapping[str, Any]) -> dict[str, Any]:
        ended = self._runs[run_id] = asyncio.get_running_loop().create_future()
        self._write(("run", run_id, job))
        return await ended

    async def call(self, operation: str, argument: Any) -> Any:
        number = next(self._numbers)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        self._write((operation, number, argument))
        return await answer

    def cancel(self, run_id: str) -> None:
        self._write(("cancel", run_id, None))

    def remove(self, folder: str) -> None:
        self._write(("remove", folder, None))

    async def close(self) -> None:
        """Ends all processes and the supervisor."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    def _write(self, message: Any) -> None:
        if self._process is not None and self._process.stdin is not None and not self.dead:
            data = pickle.dumps(message)
            self._process.stdin.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        reader = self._process.stdout
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
                self._receive(*pickle.loads(await reader.readexactly(length)))
        self.dead = True
        for ended in self._runs.values():
            ended.set_result({"lost": "the supervisor of the Dask worker was killed"})
        for answer in self._calls.values():
            answer.set_exception(CodeMissingError("the supervisor of the Dask worker was killed"))
        await self._process.wait()

    def _receive(self, event: str, subject: Any, content: Any) -> None:
        if event == "ended":
            self._runs.pop(subject).set_result(content)
        elif event == "answer":
            self._calls.pop(subject).set_result(content)
        else:
            self._agent.forward(subject, {"event": event, **content})


async def run(name: str, run_id: str, job: Mapping[str, Any]) -> None:
    """The task of a run."""
    await get_worker().plugins[name].run(run_id, job)
