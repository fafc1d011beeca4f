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

GRANT_SECONDS: Final = 0.05
"""The time after which a worker asks for a task that came without a grant."""

STARTED_SECONDS: Final = 0.05
"""The run time after which the start of a run is told at once."""

_QUEUED: Final = ("ready", "constrained")
"""The states of tasks on a worker that wait for a thread or a resource."""

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from databuild.executors.dask import supervisor as s; s.main()"
)
_LENGTH_BYTES: Final = 4
_KILLED: Final = "the supervisor of the Dask worker was killed"


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
        self._free: list[str] = []
        self._code: dict[str, asyncio.Task[str]] = {}
        self._wanted: dict[str, set[str]] = {}
        self._preparing: dict[str, asyncio.Future[None]] = {}
        self._transfers: dict[str, _Transfer] = {}
        self._claims: dict[str, asyncio.Future[bool]] = {}
        worker.handlers.update({f"{self.name}_read": self.read, f"{self.name}_code": self.receive_code})
        worker.stream_handlers[f"{self.name}_cancel"] = self.cancel
        worker.stream_handlers[f"{self.name}_answer"] = self.receive_answer

    async def teardown(self, worker: Worker) -> None:
        if self._supervisor is not None:
            await self._supervisor.close()

    async def run(self, run_id: str, code: Mapping[str, Any] | None, job: bytes) -> None:
        """Runs a process to its end, unless the claim is refused.

        Args:
            run_id: The key of the run.
            code: The digest of its program, and where the program may be; None if the program is not shipped.
            job: The facts that the supervisor needs.
        """
        claim = self._claims.setdefault(run_id, asyncio.get_running_loop().create_future())
        if not claim.done():
            # The scheduler grants a task to the worker that it sends it to, but not when it moves it to another one.
            await asyncio.wait((claim,), timeout=GRANT_SECONDS)
            if not claim.done():
                self._send("claim", run=run_id)
                await claim
        granted = self._claims.pop(run_id).result()  # it may be another one, after a cancellation
        if not granted:
            return
        # The message about the end of a short run tells its start, too.
        started = asyncio.get_running_loop().call_later(STARTED_SECONDS, self._send_started, run_id)
        # Creating and removing a directory can take longer than the rest of a short run.
        folder = self._free.pop() if self._free else str(self._folder / "runs" / str(next(self._numbers)))
        self._folders[run_id] = folder
        cancelled = self._preparing[run_id] = asyncio.get_running_loop().create_future()
        try:
            tree = await self._tree_of(run_id, code, cancelled) if code else ""
            supervisor = self._supervisor
            if supervisor is None or supervisor.dead:
                supervisor = await self._started_supervisor()
            if cancelled.done():
                result: dict[str, Any] = {"cancelled": True}
            else:
                del self._preparing[run_id]
                result = await supervisor.run(run_id, folder, tree, job)
        except (CodeMissingError, OSError) as error:
            result = {"fault": str(error)}
        finally:
            started.cancel()
            self._preparing.pop(run_id, None)
        if "fault" in result:
            result["fault"] += f"; check the local directory of the Dask worker, {self._worker.local_directory}"
        if result.pop("complete", True):
            del self._folders[run_id]
        if result.pop("clean", False):
            self._free.append(folder)
        self._send("ended", run=run_id, result=result)

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Returns runs that another worker gets, and removes the output of those whose task nobody wants any more."""
        if type(key) is not tuple or len(key) != 2 or key[0] != self.name:
            return
        run_id = key[1]
        if start in _QUEUED and finish == "released":
            self._claims.pop(run_id, None)
            self._send("unclaim", run=run_id)
        elif start == "memory":
            folder = self._folders.pop(run_id, None)
            if folder is not None and self._supervisor is not None:
                self._supervisor.remove(folder)

    def receive_answer(self, run: str, granted: bool, **_: Any) -> None:
        """Records whether a run may start here."""
        claim = self._claims.setdefault(run, asyncio.get_running_loop().create_future())
        if not claim.done():
            claim.set_result(granted)

    def cancel(self, run: str, **_: Any) -> None:
        """Ends the process of a run, or prevents it."""
        if run in self._claims:
            self._claims[run] = asyncio.get_running_loop().create_future()
            self._claims[run].set_result(False)
            self._send("ended", run=run, result={"cancelled": True})
        elif run in self._preparing:
            if not self._preparing[run].done():
                self._preparing[run].set_result(None)
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
        try:
            await asyncio.to_thread(transfer.write, data)
        except OSError as error:
            fault = str(error)
        if fault:
            transfer.complete.set_exception(CodeMissingError(fault))
            del self._transfers[digest]
            return False
        if sha256:
            transfer.complete.set_result(sha256)
            del self._transfers[digest]
        return True

    # Details.

    def _send_started(self, run_id: str) -> None:
        self._send("started", run=run_id)

    def _send(self, name: str, **message: Any) -> None:
        self._worker.batched_send({"op": f"{self.name}_{name}", **message})

    async def _started_supervisor(self) -> _Supervisor:
        async with self._starting:
            if self._supervisor is None or self._supervisor.dead:
                self._supervisor = _Supervisor(self)
                await self._supervisor.start(self._folder, self._modules)
        return self._supervisor

    async def _tree_of(self, run_id: str, code: Mapping[str, Any], cancelled: asyncio.Future[None]) -> str:
        """Returns the directory of the code of a run; empty if its program is at its own path on this machine, too."""
        digest = code["digest"]
        found = self._code.get(digest)
        if found is None or (found.done() and (found.cancelled() or found.exception() is not None)):
            found = self._code[digest] = asyncio.create_task(self._find_code(code))
        if not found.done():
            wanted = self._wanted.setdefault(digest, set())
            wanted.add(run_id)
            await asyncio.wait((found, cancelled), return_when=asyncio.FIRST_COMPLETED)
            wanted.discard(run_id)
        return found.result() if found.done() else ""

    async def _find_code(self, code: Mapping[str, Any]) -> str:
        supervisor = await self._started_supervisor()
        if await supervisor.call("shared", code):
            return ""
        folder = self._folder / "code"
        folder.mkdir(parents=True, exist_ok=True)
        digest = code["digest"]
        number = next(self._numbers)
        transfer = self._transfers[digest] = _Transfer(folder / f"{number}.tar")
        size, changed = 0, time.monotonic()
        try:
            while not transfer.complete.done():
                if transfer.size != size:
                    size, changed = transfer.size, time.monotonic()
                elif time.monotonic() > changed + CODE_SECONDS:
                    raise CodeMissingError("no client sent the code of the run")
                else:
                    for run_id in self._wanted.get(digest, ()):  # their clients may have gone
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
            "-I",
            *("-c", _START, str(library), str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=str(folder),
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read())

    async def run(self, run_id: str, folder: str, tree: str, job: bytes) -> dict[str, Any]:
        ended: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._runs[run_id] = ended
        self._write(("run", run_id, (folder, tree, job)))
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
        if self._reading is not None:
            await self._reading

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
                self._receive(*pickle.loads(await reader.readexactly(length)))  # noqa: S301 - from our own child
        self.dead = True
        for ended in self._runs.values():
            _answer(ended, {"lost": _KILLED})
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(CodeMissingError(_KILLED))
        await self._process.wait()

    def _receive(self, event: str, subject: Any, content: Any) -> None:
        if event == "ended":
            _answer(self._runs.pop(subject), content)
        elif event == "answer":
            _answer(self._calls.pop(subject), content)
        else:
            self._agent.forward(subject, {"event": event, **content})


def _answer(future: asyncio.Future[Any], content: Any) -> None:
    if not future.done():  # the awaiting task was cancelled if the worker is closing
        future.set_result(content)


async def run(name: str, run_id: str, code: Mapping[str, Any] | None, job: bytes) -> None:
    """The task of a run."""
    agent = get_worker().plugins[name]
    await agent.run(run_id, code, job)  # type: ignore[attr-defined]
