"""Runs processes on this machine.

The cheapest way we know to start a process from Python and to learn of its end: `posix_spawn` onto pipes, and a pidfd
for each process in one epoll set. It does not know what the processes are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, TypeVar

from databuild.errors import ProcessesLeftError
from databuild.executors.budget import capacity_of
from databuild.executors.command_size import CommandSize
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.descriptors import Descriptors
from databuild.executors.executor import Capacity, ProcessResult, ProcessSpec
from databuild.executors.out_of_memory import OomKills
from databuild.executors.output import Kept, LogFile
from databuild.executors.process_group import EndingGroup, end_marked
from databuild.executors.report_file import ReportFile
from databuild.executors.running import Running
from databuild.executors.spawning import Spawner
from databuild.executors.start_faults import EXHAUSTED, start_fault
from databuild.executors.warden import warden

BUILD_VARIABLE: Final = "DATABUILD_BUILD_REQUEST_ID"
"""The variable that tells a process, and everything that it starts, of which build it is."""

DEFAULT_GRACE_SECONDS: Final = 10.0
"""How long a process group may take to end after TERM before it gets KILL."""

DEFAULT_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""How much of each log file is kept, and of each stream that is kept in memory."""

START_SECONDS: Final = 60.0
"""How long a start waits for descriptors, processes or memory that something else than our own processes holds."""

_WATCH_SECONDS = 0.25
_LISTEN_SECONDS = 0.01
_FIRST_START_PAUSE_SECONDS = 0.01
_LAST_START_PAUSE_SECONDS = 1.0

_T = TypeVar("_T")


class _Usage(NamedTuple):
    """Exit code and resource usage of a process; defaults if it could not be ended."""

    exit_code: int
    cpu_seconds: float
    peak_memory_bytes: int
    unended: Sequence[int] = ()


_UNKNOWN: Final = _Usage(-signal.SIGKILL, 0.0, 0)


class LocalExecutor:
    """Runs each process in a process group of its own, and leaves none of a group behind."""

    def __init__(
        self,
        *,
        base_env: Mapping[str, str],
        grace_seconds: float = DEFAULT_GRACE_SECONDS,
        log_limit_bytes: int = DEFAULT_LOG_LIMIT_BYTES,
        descriptor_limit: DescriptorLimit | None = None,
        capacity: Capacity | None = None,
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Starts nothing yet.

        Args:
            base_env: The environment that each process's own variables are laid over.
            grace_seconds: How long a process group may take to end after TERM; may be changed while processes run.
            log_limit_bytes: How much of each stream is kept.
            descriptor_limit: That of this process, where something else knows of it, too.
            capacity: How many processes run at once, further ones wait; None for as many as fit on the machine.
            start_seconds: How long a start waits for descriptors, processes or memory while none of ours run.
        """
        self.grace_seconds = grace_seconds
        self._spawner = Spawner(base_env)
        self._command_size = CommandSize(base_env)
        self._log_limit_bytes = log_limit_bytes
        self._descriptor_limit = descriptor_limit or DescriptorLimit()
        self._start_seconds = start_seconds
        self.capacity = capacity or capacity_of(self._descriptor_limit)
        self._slots = asyncio.Semaphore(self.capacity.processes)
        self._oom_kills = OomKills()
        self._descriptors = Descriptors()
        self._running = 0
        self._watched: set[ReportFile] = set()
        self._watcher: asyncio.TimerHandle | None = None
        self._unheard: set[Running] = set()
        self._listener: asyncio.TimerHandle | None = None

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        """Returns why a command line can never be started, as `Executor.command_fault` says."""
        return self._command_size.fault(argv, env)

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end, as `Executor.run` says."""
        async with self._slots:
            stdout, stderr = self._sink(spec.stdout), self._sink(spec.stderr)
            try:
                running = await self._start(spec, stdout, stderr)
            except OSError as error:
                fault = start_fault(error, spec.argv, self._spawner.whole_env(spec.env), spec.cwd)
                return ProcessResult(exit_code=-1, start_fault=fault)
            started = time.monotonic()
            self._oom_kills.look(started)
            self._running += 1
            report = None
            if spec.report and on_report is not None:
                report = ReportFile(spec.report, on_report)
                self._watch(report)
            try:
                usage, timed_out = await self._ended(running, spec.timeout_seconds)
            finally:
                self._running -= 1
                self._unheard.discard(running)
                running.finish()
                if report is not None:
                    self._watched.discard(report)
                    report.finish()
        ended = time.monotonic()
        killed = usage.exit_code in {-signal.SIGKILL, 128 + signal.SIGKILL} and not timed_out
        return ProcessResult(
            exit_code=usage.exit_code,
            timed_out=timed_out,
            duration_seconds=ended - started,
            cpu_seconds=usage.cpu_seconds,
            peak_memory_bytes=usage.peak_memory_bytes,
            oom_kills=self._oom_kills.since(started, ended) if killed else 0,
            unended=usage.unended,
            stdout=stdout.text() if isinstance(stdout, Kept) else b"",
            stderr=stderr.text() if isinstance(stderr, Kept) else b"",
        )

    def guarded(self, build_request_id: str) -> AbstractContextManager[None]:
        """Returns a context in which no process of a build outlives this process, as `Executor.guarded` says."""
        return warden(f"{BUILD_VARIABLE}={build_request_id}")

    async def end_left_behind(self, build_request_id: str) -> None:
        """Ends what processes of a build are still running, as `Executor.end_left_behind` says.

        They are found by their environment (proc(5)), which every process of a build has and hands on.
        """
        groups = await end_marked(f"{BUILD_VARIABLE}={build_request_id}".encode())
        if groups:
            raise ProcessesLeftError(build_request_id, sorted(groups))

    def _sink(self, path: str) -> LogFile | Kept:
        return LogFile(path, self._log_limit_bytes) if path else Kept(self._log_limit_bytes)

    async def _start(self, spec: ProcessSpec, stdout: LogFile | Kept, stderr: LogFile | Kept) -> Running:
        """Starts a process; waits while what it takes is used up.

        Raises:
            OSError: It cannot be started.
        """
        waited = 0.0
        pause = _FIRST_START_PAUSE_SECONDS
        while True:
            limit = self._descriptor_limit
            start = functools.partial(self._spawner.spawn, spec.argv, spec.env, spec.cwd, open_files=limit.raised_from)
            try:
                running = Running(start, stdout, stderr, self._descriptors)
            except OSError as error:
                # Each of our processes that ends gives something back; others may keep what they have.
                if error.errno not in EXHAUSTED or (not self._running and waited >= self._start_seconds):
                    raise
                waited = 0.0 if self._running else waited + pause
                if error.errno == errno.EMFILE:
                    limit.raise_it()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_START_PAUSE_SECONDS)
                continue
            limit.saw(running.highest_descriptor)
            self._listen_soon(running)
            return running

    async def _ended(self, running: Running, timeout_seconds: float | None) -> tuple[_Usage, bool]:
        """Waits for the end of a process, and returns how it ended and whether that was for its timeout."""
        ended = running.ended()
        try:
            if timeout_seconds is None:
                await ended
            else:
                done, _ = await asyncio.wait((ended,), timeout=timeout_seconds)
                if not done:
                    return await _uncancellable(self._end_group(running.pid, ended)), True
        except asyncio.CancelledError:
            # With the awaiting task its future was cancelled; the pidfd stays readable, so a new one misses none.
            await _uncancellable(self._end_group(running.pid, running.ended()))
            raise
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Children that it left running could still write to outputs that are about to be recorded as complete.
            # The pid is still ours: the process has ended, but has not been waited for.
            os.killpg(running.pid, signal.SIGKILL)
        return _wait_for(running.pid), False

    async def _end_group(self, pid: int, ended: asyncio.Future[None]) -> _Usage:
        group = EndingGroup(pid, grace_seconds=lambda: self.grace_seconds)
        if not await group.end_leader(ended):
            return _UNKNOWN._replace(unended=(pid,))
        usage = _wait_for(pid)
        return usage._replace(unended=tuple(await group.end_members()))

    def _listen_soon(self, running: Running) -> None:
        """Has a process listened to if it runs for longer than most that write little: those are read at their end."""
        self._unheard.add(running)
        if self._listener is None:
            self._listener = asyncio.get_running_loop().call_later(_LISTEN_SECONDS, self._listen)

    def _listen(self) -> None:
        self._listener = None
        for running in self._unheard:
            running.listen()
        self._unheard.clear()

    def _watch(self, report: ReportFile) -> None:
        self._watched.add(report)
        if self._watcher is None:
            loop = asyncio.get_running_loop()
            self._watcher = loop.call_later(_WATCH_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for report in tuple(self._watched):
            report.read()
        self._watcher = loop.call_later(_WATCH_SECONDS, self._look, loop) if self._watched else None


def _wait_for(pid: int) -> _Usage:
    _, status, usage = os.wait4(pid, 0)
    return _Usage(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


async def _uncancellable(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Awaits to the end, although the awaiting task may be cancelled again meanwhile."""
    task = asyncio.ensure_future(coroutine)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()
