"""The executors that the contract is tested with, and what its tests run on them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from databuild.executors.executor import (
    Capacity,
    Code,
    Executor,
    NotStartedError,
    ProcessResult,
    ProcessSpec,
    RemoteExecutor,
    RunQueue,
    WorkerSpec,
)
from databuild.executors.local import RUN_VARIABLE, LocalExecutor
from databuild.executors.registry import ExecutorOptions
from tests.support.process_worker import write_worker

BASE_ENV = {"PATH": "/usr/bin:/bin", "BASE": "of local processes alone"}


SLOTS = 2
"""The number of processes that each executor under test runs at once."""


class ExecutorCase(Protocol):
    """An executor under test."""

    async def open(self, options: ExecutorOptions) -> Executor:
        """Returns an executor that is connected and closed after the test."""
        ...


class RemoteCase(Protocol):
    """An executor with an engine under test."""

    async def open(self, options: ExecutorOptions) -> RemoteExecutor:
        """Returns an executor that is connected and closed after the test."""
        ...

    async def drop(self, executor: RemoteExecutor) -> None:
        """Disconnects an executor, as the death of its process would, while its runs continue."""
        ...


class LocalCase:
    """Processes on this machine."""

    async def open(self, options: ExecutorOptions) -> Executor:
        return LocalExecutor(
            base_env=BASE_ENV,
            grace_seconds=options.grace_seconds,
            log_limit_bytes=options.log_limit_bytes,
            capacity=Capacity(SLOTS, "the test"),
        )


class WorkerCase:
    """Processes on this machine that workers start, one for each request."""

    def __init__(self, folder: Path) -> None:
        """Writes the program of the workers into a folder."""
        self._program = folder / "worker"
        write_worker(self._program)
        self._opened: list[LocalExecutor] = []

    async def open(self, options: ExecutorOptions) -> Executor:
        executor = _ByWorkers(
            str(self._program),
            base_env=BASE_ENV,
            grace_seconds=options.grace_seconds,
            log_limit_bytes=options.log_limit_bytes,
            capacity=Capacity(SLOTS, "the test"),
        )
        self._opened.append(executor)
        return executor

    async def close(self) -> None:
        """Ends the workers."""
        for executor in self._opened:
            await executor.close()


class _ByWorkers(LocalExecutor):
    """Sends the command line of each process to a worker."""

    def __init__(self, program: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._program = program

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        worker = WorkerSpec(env={}, code_digest="1", arguments=spec.argv)
        return await super().run(spec._replace(argv=(self._program, *spec.argv), worker=worker), on_report)


class QueuedCase:
    """Processes on this machine that a spawn server starts."""

    def __init__(self) -> None:
        self._opened: list[QueueingExecutor] = []

    async def open(self, options: ExecutorOptions) -> Executor:
        executor = QueueingExecutor(options)
        self._opened.append(executor)
        await executor.start()
        return executor

    async def close(self) -> None:
        """Ends the spawn servers."""
        for executor in self._opened:
            await executor.close()


class QueueingExecutor(LocalExecutor):
    """Lets each process wait in a queue of a spawn server, and again if it comes back."""

    def __init__(self, options: ExecutorOptions) -> None:
        super().__init__(
            base_env=BASE_ENV,
            grace_seconds=options.grace_seconds,
            log_limit_bytes=options.log_limit_bytes,
            capacity=Capacity(1000, "the test"),
        )

    async def start(self) -> None:
        """Starts the spawn server, by plain runs as in a build; on a busy machine, some take too long to be plain."""
        while self.queue_room(SLOTS, SLOTS) is None:
            await super().run(ProcessSpec(argv=("/bin/true",), env={}, cwd="/"))

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        starts: list[float] = []
        queue = RunQueue("a test", SLOTS, lambda time, _ended: starts.append(time), lambda: True)
        env = {RUN_VARIABLE: uuid.uuid4().hex, **spec.env}
        while True:
            with contextlib.suppress(NotStartedError):
                result = await super().run(spec._replace(env=env, queue=queue), on_report)
                assert bool(starts) == (result.start_fault is None)
                return result
            assert not starts


class OpenedByScheme:
    """An engine that `open_executor` of an extension connects to."""

    def __init__(self, open_executor: Callable[[str, ExecutorOptions], RemoteExecutor], uri: str) -> None:
        """Connects to nothing yet.

        Args:
            open_executor: The function of the extension.
            uri: The address of the engine.
        """
        self._open_executor = open_executor
        self._uri = uri
        self._opened: list[RemoteExecutor] = []

    async def open(self, options: ExecutorOptions) -> RemoteExecutor:
        executor = self._open_executor(self._uri, options)
        self._opened.append(executor)
        await executor.connect()
        return executor

    async def drop(self, executor: RemoteExecutor) -> None:
        self._opened.remove(executor)
        await executor.close()

    async def close(self) -> None:
        """Closes the executors that are open."""
        while self._opened:
            await self._opened.pop().close()


class Runs:
    """Specifications of processes, with files below one folder.

    Attributes:
        folder: The folder.
        stdout: The file for standard output.
        stderr: The file for standard error.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stdout = folder / "stdout"
        self.stderr = folder / "stderr"
        self._count = 0

    def spec(self, *argv: str, **settings: Any) -> ProcessSpec:
        """Returns a process whose output goes to the files."""
        self._count += 1
        defaults = ProcessSpec(
            argv=argv,
            env={},
            cwd=str(self.folder),
            stdout=str(self.stdout),
            stderr=str(self.stderr),
            run_id=f"{self.folder.name}-{os.getpid()}-{self._count}",
        )
        return defaults._replace(**settings)

    def shell(self, script: str, *arguments: str, **settings: Any) -> ProcessSpec:
        """Returns a shell with a script."""
        return self.spec("/bin/sh", "-c", script, "sh", *arguments, **settings)

    def reporting(self, script: str, **settings: Any) -> ProcessSpec:
        """Returns a shell whose script may append lines to the report."""
        report = str(self.folder / "report")
        return self.shell(script, report=report, env={"DATABUILD_REPORT": report}, **settings)

    def code(self, files: dict[str, str]) -> Code:
        """Returns a program with its runfiles.

        Args:
            files: The content of each file by its path. Files that begin with `#!` are executable.
        """
        root = self.folder / "program.runfiles"
        for name, content in files.items():
            path = root / "_main" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o755 if content.startswith("#!") else 0o644)
        listed = self.folder / "files"
        listed.write_text("\n".join(["_main", *files]))
        digest = hashlib.sha256(repr(files).encode()).hexdigest()
        return Code(root=str(root), files=str(listed), digest=digest)


def long_sleep() -> str:
    """Returns a number of seconds that is long, and that no other process has in its command line."""
    return f"1000.{uuid.uuid4().int}"


def sleeping(seconds: str) -> bool:
    """Returns True if a process on this machine, in a sandbox or not, is `sleep SECONDS`."""
    command = f"sleep\0{seconds}\0".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() == command:
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    return False
