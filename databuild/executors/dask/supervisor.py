"""The supervisor process of a worker of Dask: runs processes as `LocalExecutor` does, and ends them with the worker.

It reads requests of the agent from standard input and writes to standard output: pickled triples, each after its
length. At the end of the input, or when its parent has gone, it kills all job processes and ends. If it is killed
itself, its watchdog kills them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import signal
import sys
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from databuild.executors.code_files import TREE, command_in_tree
from databuild.executors.dask.code_tree import fingerprint, unpack
from databuild.executors.executor import Code, ProcessResult, ProcessSpec
from databuild.executors.local import LocalExecutor
from databuild.executors.process_group import kill_groups_with
from databuild.executors.watchdog import watchdog

STREAMS: Final = ("stdout", "stderr", "report")

MAX_INLINE_BYTES: Final = 64 * 1024
"""The largest output and report that are sent with the result; a larger one is read from the worker."""

_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_VARIABLE: Final = "DATABUILD_DASK_SUPERVISOR"
_NEWS_SECONDS: Final = 0.25
_PARENT_SECONDS: Final = 1.0
_LENGTH_BYTES: Final = 4


class Supervisor:
    """Answers the requests of an agent."""

    def __init__(self, writer: asyncio.StreamWriter, mark: str) -> None:
        """Starts nothing yet.

        Args:
            writer: The stream for answers.
            mark: The value of the environment variable that all job processes have.
        """
        self._writer = writer
        self._base_env = {"PATH": _DEFAULT_PATH, _VARIABLE: mark}
        self._executors: dict[tuple[float, int], LocalExecutor] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._sizes: dict[str, tuple[str, list[int]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: asyncio.TimerHandle | None = None

    def receive(self, operation: str, subject: Any, argument: Any) -> None:
        """Handles a request."""
        if operation == "run":
            self._runs[subject] = asyncio.create_task(self._run(subject, *argument))
        elif operation == "cancel":
            if subject in self._runs:
                # A task that is cancelled before its first step would never answer.
                asyncio.get_running_loop().call_soon(self._runs[subject].cancel)
        else:
            task = asyncio.create_task(self._answer(operation, subject, argument))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, operation: str, subject: Any, argument: Any) -> None:
        if operation == "remove":
            await asyncio.to_thread(shutil.rmtree, subject, ignore_errors=True)
            return
        answer: Any
        if operation == "shared":
            code = Code(root=argument["root"], files=argument["files"], digest=argument["digest"])
            answer = await asyncio.to_thread(_is_shared, code, argument["fingerprint"])
        else:
            answer = await asyncio.to_thread(_unpacked, *argument)
        self._write("answer", subject, answer)

    async def _run(self, run_id: str, folder: str, tree: str, job: bytes) -> None:
        try:
            complete, result = await self._run_in(run_id, folder, tree, pickle.loads(job))  # noqa: S301 - of our client
            answer: dict[str, Any] = {"complete": complete, "blob": pickle.dumps(result)}
        except asyncio.CancelledError:
            complete, result = _output(folder, {})
            answer = {"complete": complete, "cancelled": True, "blob": pickle.dumps(result)}
        except OSError as error:
            answer = {"complete": True, "fault": f"{error.strerror}: {error.filename or folder}"}
        del self._runs[run_id]
        self._sizes.pop(run_id, None)
        answer["clean"] = _is_clean(folder)
        self._write("ended", run_id, answer)
        if not answer["clean"]:
            await asyncio.to_thread(_remove, folder, everything=answer["complete"])

    async def _run_in(
        self, run_id: str, folder: str, tree: str, job: Mapping[str, Any]
    ) -> tuple[bool, Mapping[str, Any]]:
        """Runs a process, and returns True if the result is all that there is of it, and the result."""
        work = f"{folder}/work"
        if not os.path.isdir(work):  # noqa: PTH112
            os.makedirs(work)  # noqa: PTH103
        env = dict(job["env"])
        argv = job["argv"]
        if task := job["task"]:
            Path(folder, "task").write_bytes(zlib.decompress(task) if job["compressed"] else task)
            env["DATABUILD_TASK"] = f"{folder}/task"
        if job["report"]:
            env["DATABUILD_REPORT"] = f"{folder}/report"
        if tree:
            program, *arguments = command_in_tree(Code(root=job["root"], files="", digest=""), argv)
            argv = (f"{tree}/{program}", *arguments)
            env["RUNFILES_DIR"] = f"{tree}/{TREE}"
        spec = ProcessSpec(
            argv=argv,
            env=env,
            cwd=work,
            stdout=f"{folder}/stdout" if job["files"][0] else "",
            stderr=f"{folder}/stderr" if job["files"][1] else "",
            timeout_seconds=job["timeout"],
        )
        self._sizes[run_id] = folder, [0, 0, 0]
        self._watch()
        result = await self._executor(job["grace"], job["limit"]).run(spec)
        tails = {
            name: getattr(result, name) for name, path in (("stdout", spec.stdout), ("stderr", spec.stderr)) if not path
        }
        complete, output = _output(folder, tails)
        return complete, {**_facts(result), **output}

    def _executor(self, grace_seconds: float, limit: int) -> LocalExecutor:
        key = grace_seconds, limit
        if key not in self._executors:
            self._executors[key] = LocalExecutor(
                base_env=self._base_env, grace_seconds=grace_seconds, log_limit_bytes=limit
            )
        return self._executors[key]

    def _watch(self) -> None:
        if self._news is None:
            self._news = asyncio.get_running_loop().call_later(_NEWS_SECONDS, self._send_news)

    def _send_news(self) -> None:
        """Tells the sizes of output and reports that have grown."""
        self._news = None
        for run_id, (folder, sizes) in self._sizes.items():
            now = _sizes(folder)
            if now != sizes:
                sizes[:] = now
                self._write("news", run_id, {"sizes": now})
        if self._sizes:
            self._watch()

    def _write(self, event: str, subject: Any, content: Any) -> None:
        data = pickle.dumps((event, subject, content))
        self._writer.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)


def _is_shared(code: Code, expected: str) -> bool:
    try:
        return fingerprint(code) == expected
    except (OSError, ValueError):
        return False


def _unpacked(path: str, sha256: str, tree: str) -> str:
    """Unpacks an archive, and returns the fault; empty if there is none."""
    try:
        unpack(path, sha256, tree)
    except (OSError, ValueError) as error:
        shutil.rmtree(tree, ignore_errors=True)
        return str(error)
    return ""


def _facts(result: ProcessResult) -> dict[str, Any]:
    fault = result.start_fault
    return {
        "exit_code": result.exit_code,
        "timed_out": result.timed_out,
        "duration": result.duration_seconds,
        "cpu": result.cpu_seconds,
        "memory": result.peak_memory_bytes,
        "oom_kills": result.oom_kills,
        "unended": list(result.unended),
        "start_fault": [fault.message, fault.users_fault] if fault else None,
    }


def _sizes(folder: str) -> list[int]:
    sizes = []
    for name in STREAMS:
        try:
            sizes.append(os.stat(f"{folder}/{name}").st_size)  # noqa: PTH116
        except OSError:
            sizes.append(0)
    return sizes


def _output(folder: str, tails: Mapping[str, bytes]) -> tuple[bool, Mapping[str, Any]]:
    """Returns True if output and report are small, and their sizes and, if they are small, their content.

    Args:
        folder: The directory of the run.
        tails: Output that is not in files.
    """
    for name, tail in tails.items():
        if tail:
            Path(folder, name).write_bytes(tail)
    sizes = _sizes(folder)
    if sum(sizes) > MAX_INLINE_BYTES:
        return False, {"sizes": sizes}
    content = [_read(Path(folder, name)) if size else b"" for name, size in zip(STREAMS, sizes, strict=True)]
    return True, {"sizes": sizes, "content": content}


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _is_clean(folder: str) -> bool:
    """Returns True if the directory of a run can be used for another run."""
    try:
        return os.listdir(folder) == ["work"] and not os.listdir(f"{folder}/work")  # noqa: PTH208
    except OSError:
        return False


def _remove(folder: str, *, everything: bool) -> None:
    shutil.rmtree(folder if everything else f"{folder}/work", ignore_errors=True)


async def _serve(reader: asyncio.StreamReader, supervisor: Supervisor) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
            supervisor.receive(*pickle.loads(await reader.readexactly(length)))  # noqa: S301 - from our own parent


async def _main(parent: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    mark = uuid.uuid4().hex
    with watchdog(f"{_VARIABLE}={mark}"):
        serving = asyncio.create_task(_serve(reader, Supervisor(writer, mark)))
        # A child process of the worker may hold its end of the pipe open.
        while not serving.done() and os.getppid() == parent:
            await asyncio.wait([serving], timeout=_PARENT_SECONDS)
        await kill_groups_with(f"{_VARIABLE}={mark}".encode())


def main() -> None:
    """Runs the supervisor of the worker whose process id is the second argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_main(int(sys.argv[2])))
