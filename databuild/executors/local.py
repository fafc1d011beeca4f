"""Runs processes on this machine.

The cheapest way we know to start a process from Python and to learn of its end: `posix_spawn` onto pipes, and a pidfd
for each process in one epoll set. It does not know what the processes are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from databuild.executors.descriptors import Descriptors
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.executors.output import Kept, LogFile
from databuild.executors.report_file import ReportFile
from databuild.executors.running import Running
from databuild.executors.spawning import Spawner
from databuild.executors.warden import warden

BUILD_VARIABLE: Final = "DATABUILD_BUILD_REQUEST_ID"
"""The variable that tells a process, and everything that it starts, of which build it is."""

DEFAULT_GRACE_SECONDS: Final = 10.0
"""How long a process group may take to end after TERM before it gets KILL."""

DEFAULT_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""How much of each log file is kept, and of each stream that is kept in memory."""

_WATCH_SECONDS = 0.25
_LISTEN_SECONDS = 0.01
_GONE_SECONDS = 0.005

_Usage = tuple[int, float, int]
"""Exit code, processor time in seconds, most memory held in bytes."""


class LocalExecutor:
    """Runs each process in a process group of its own, and leaves none of a group behind."""

    def __init__(
        self,
        *,
        base_env: Mapping[str, str],
        grace_seconds: float = DEFAULT_GRACE_SECONDS,
        log_limit_bytes: int = DEFAULT_LOG_LIMIT_BYTES,
    ) -> None:
        """Takes what all processes share.

        Args:
            base_env: The environment that each process's own variables are laid over.
            grace_seconds: How long a process group may take to end after TERM; may be changed while processes run.
            log_limit_bytes: How much of each stream is kept.
        """
        self.grace_seconds = grace_seconds
        self._spawner = Spawner(base_env)
        self._log_limit_bytes = log_limit_bytes
        self._descriptors = Descriptors()
        self._watched: set[ReportFile] = set()
        self._watcher: asyncio.TimerHandle | None = None
        self._unheard: set[Running] = set()
        self._listener: asyncio.TimerHandle | None = None

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end, as `Executor.run` says."""
        started = time.monotonic()
        stdout, stderr = self._sink(spec.stdout), self._sink(spec.stderr)
        try:
            start = functools.partial(self._spawner.spawn, spec.argv, spec.env, spec.cwd)
            running = Running(start, stdout, stderr, self._descriptors)
        except OSError as error:
            fault = f"{error.strerror or error}: {error.filename or spec.argv[0]}"
            return ProcessResult(exit_code=-1, start_error=fault)
        self._listen_soon(running)
        report = None
        if spec.report and on_report is not None:
            report = ReportFile(spec.report, on_report)
            self._watch(report)
        try:
            ended = running.ended()
            timed_out = False
            try:
                if spec.timeout_seconds is None:
                    await ended
                else:
                    done, _ = await asyncio.wait((ended,), timeout=spec.timeout_seconds)
                    timed_out = not done
            except asyncio.CancelledError:
                # With the awaiting task its future was cancelled; the pidfd stays readable, so a new one misses none.
                await _uncancellable(self._end_group(running.pid, running.ended()))
                raise
            if timed_out:
                usage = await _uncancellable(self._end_group(running.pid, ended))
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    # What the process left running would go on writing to data that is about to be called complete.
                    # The pid is still ours: the process has ended, but has not been waited for.
                    os.killpg(running.pid, signal.SIGKILL)
                usage = _wait_for(running.pid)
        finally:
            self._unheard.discard(running)
            running.finish()
            if report is not None:
                self._watched.discard(report)
                report.finish()
        return ProcessResult(
            exit_code=usage[0],
            timed_out=timed_out,
            duration_seconds=time.monotonic() - started,
            cpu_seconds=usage[1],
            peak_memory_bytes=usage[2],
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
        mark = f"{BUILD_VARIABLE}={build_request_id}".encode()
        while groups := await asyncio.to_thread(_groups_with, mark):
            for group in groups:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
            await asyncio.sleep(_GONE_SECONDS)

    def _sink(self, path: str) -> LogFile | Kept:
        return LogFile(path, self._log_limit_bytes) if path else Kept(self._log_limit_bytes)

    async def _end_group(self, pid: int, ended: asyncio.Future[None]) -> _Usage:
        """Asks a process group to end, ends it after the grace period, and returns when none of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGTERM)
        started = time.monotonic()
        while not ended.done() and (left := started + self.grace_seconds - time.monotonic()) > 0:
            await asyncio.wait((ended,), timeout=min(left, _WATCH_SECONDS))
        if not ended.done():
            os.killpg(pid, signal.SIGKILL)
            await ended
        usage = _wait_for(pid)
        # Once its leader has been waited for, a group that can be signalled has members that have not ended.
        while _group_exists(pid) and time.monotonic() < started + self.grace_seconds:
            await asyncio.sleep(_GONE_SECONDS)
        while _group_exists(pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            await asyncio.sleep(_GONE_SECONDS)
        return usage

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
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _groups_with(mark: bytes) -> set[int]:
    """Returns the process groups, other than our own, that have a process with a variable in its environment."""
    groups = set()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environ:  # noqa: PTH123
            if mark in environ.read().split(b"\0"):
                groups.add(os.getpgid(int(name)))
    return groups - {os.getpgrp()}


def _group_exists(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _uncancellable(coroutine: Coroutine[Any, Any, _Usage]) -> _Usage:
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
