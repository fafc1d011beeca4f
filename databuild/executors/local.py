"""Runs processes on this machine.

The cheapest way we know to start a process from Python and to learn of its end: `posix_spawn` straight onto the log
files, and a pidfd in the event loop. It does not know what the processes are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from databuild.executors.executor import ProcessResult, ProcessSpec

DEFAULT_GRACE_SECONDS: Final = 10.0
"""How long a process group may take to end after TERM before it gets KILL."""

DEFAULT_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""How much of each log file is kept."""

_WATCH_SECONDS = 0.25
_GONE_SECONDS = 0.005
_READ_BYTES = 1 << 20
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_MODE = 0o644

_Usage = tuple[int, float, int]
"""Exit code, processor time in seconds, most memory held in bytes."""

_SPAWN_ACTIONS_STDIN = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
            log_limit_bytes: How much of each log file is kept.
        """
        self.grace_seconds = grace_seconds
        self._base_env = dict(base_env)
        self._log_limit_bytes = log_limit_bytes
        self._cwd = os.getcwd()  # noqa: PTH109 - a string, as it is compared with
        self._watched: set[_Watch] = set()
        self._watcher: asyncio.TimerHandle | None = None

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end, as `Executor.run` says."""
        started = time.monotonic()
        try:
            pid = self._spawn(spec)
        except OSError as error:
            return ProcessResult(exit_code=-1, start_error=f"{error.strerror or error}: {spec.argv[0]}")
        pidfd = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(pidfd, _set_done, ended)
        watch = _Watch(spec, on_report, self._log_limit_bytes)
        self._watch(watch, loop)
        timed_out = False
        try:
            if spec.timeout_seconds is None:
                await ended
            else:
                done, _ = await asyncio.wait((ended,), timeout=spec.timeout_seconds)
                timed_out = not done
        except asyncio.CancelledError:
            # With the awaiting task its future was cancelled. The pidfd stays readable, so a new one misses nothing.
            ended = loop.create_future()
            loop.add_reader(pidfd, _set_done, ended)
            await _uncancellable(self._end_group(pid, ended))
            raise
        else:
            if timed_out:
                usage = await _uncancellable(self._end_group(pid, ended))
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    # What the process left running would go on writing to data that is about to be called complete.
                    # The pid is still ours: the process has ended, but has not been waited for.
                    os.killpg(pid, signal.SIGKILL)
                usage = _wait_for(pid)
            return ProcessResult(
                exit_code=usage[0],
                timed_out=timed_out,
                duration_seconds=time.monotonic() - started,
                cpu_seconds=usage[1],
                peak_memory_bytes=usage[2],
            )
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            self._watched.discard(watch)
            watch.finish()

    def _spawn(self, spec: ProcessSpec) -> int:
        env = {**self._base_env, **spec.env}
        if spec.cwd != self._cwd:  # posix_spawn cannot change the directory
            return _popen_in_directory(spec, env)
        actions = (
            _SPAWN_ACTIONS_STDIN,
            (os.POSIX_SPAWN_OPEN, 1, spec.stdout, _APPEND, _MODE),
            (os.POSIX_SPAWN_OPEN, 2, spec.stderr, _APPEND, _MODE),
        )
        return os.posix_spawn(
            spec.argv[0],
            tuple(spec.argv),
            env,
            file_actions=actions,
            setpgroup=0,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )

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

    def _watch(self, watch: _Watch, loop: asyncio.AbstractEventLoop) -> None:
        self._watched.add(watch)
        if self._watcher is None:
            self._watcher = loop.call_later(_WATCH_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for watch in tuple(self._watched):
            watch.look()
        self._watcher = loop.call_later(_WATCH_SECONDS, self._look, loop) if self._watched else None


class _Watch:
    """Looks after the files of one process: hands over report lines and keeps logs within their limit."""

    __slots__ = ("_limit", "_on_report", "_position", "_rest", "_spec")

    def __init__(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None, limit: int) -> None:
        self._spec = spec
        self._on_report = on_report
        self._limit = limit
        self._position = 0
        self._rest = b""

    def look(self) -> None:
        """Hands over complete lines, and cuts what is too long (files are opened for appending, so writers go on)."""
        self._read_report()
        for path in (self._spec.stdout, self._spec.stderr):
            with contextlib.suppress(OSError):
                if os.stat(path).st_size > self._limit:  # noqa: PTH116 - on every look
                    os.truncate(path, self._limit)

    def finish(self) -> None:
        """Hands over what is left, a last line without its newline included, and marks logs that were cut."""
        self._read_report()
        if self._rest and self._on_report is not None:
            self._on_report(self._rest)
        for path in (self._spec.stdout, self._spec.stderr):
            with contextlib.suppress(OSError):
                if os.stat(path).st_size > self._limit:  # noqa: PTH116
                    os.truncate(path, self._limit)
                    with open(path, "ab") as log:  # noqa: PTH123
                        log.write(
                            b"\n[databuild: the rest was cut: the log is over its limit of %d bytes]\n" % self._limit
                        )

    def _read_report(self) -> None:
        if not self._spec.report or self._on_report is None:
            return
        try:
            descriptor = os.open(self._spec.report, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            while chunk := os.pread(descriptor, _READ_BYTES, self._position):
                self._position += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    self._on_report(line)
        finally:
            os.close(descriptor)


def _popen_in_directory(spec: ProcessSpec, env: Mapping[str, str]) -> int:
    with open(spec.stdout, "ab") as stdout, open(spec.stderr, "ab") as stderr:  # noqa: PTH123
        process = subprocess.Popen(
            spec.argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=spec.cwd, env=env, process_group=0
        )
    process.returncode = 0  # we wait for the process by its pid; nothing must warn that Popen does not
    return process.pid


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _wait_for(pid: int) -> _Usage:
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


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
