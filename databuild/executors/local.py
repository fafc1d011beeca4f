"""Runs processes on this machine.

The cheapest way we know to start a process from Python and to learn of its end: `posix_spawn` onto pipes, and a pidfd
for each process in one epoll set of our own, which the event loop sees as a single descriptor. It does not know what
the processes are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.executors.output import Kept, LogFile, Sink
from databuild.executors.warden import warden

BUILD_VARIABLE: Final = "DATABUILD_BUILD_REQUEST_ID"
"""The variable that tells a process, and everything that it starts, of which build it is."""

DEFAULT_GRACE_SECONDS: Final = 10.0
"""How long a process group may take to end after TERM before it gets KILL."""

DEFAULT_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""How much of each log file is kept, and of each stream that is kept in memory."""

_WATCH_SECONDS = 0.25
_GONE_SECONDS = 0.005
_REPORT_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_ONCE = select.EPOLLIN | select.EPOLLONESHOT
_MOST_READS = 64
"""More than any pipe holds: who goes on writing after its run has ended is not listened to for ever."""

_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

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
        self._base_env = dict(base_env)
        self._log_limit_bytes = log_limit_bytes
        self._cwd = os.getcwd()  # noqa: PTH109 - a string, as it is compared with
        self._descriptors = _Descriptors()
        self._watched: set[_Report] = set()
        self._watcher: asyncio.TimerHandle | None = None

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end, as `Executor.run` says."""
        started = time.monotonic()
        stdout, stderr = self._sink(spec.stdout), self._sink(spec.stderr)
        try:
            env = {**self._base_env, **spec.env}
            running = _Running(spec, (stdout, stderr), env, self._cwd, self._descriptors)
        except OSError as error:
            return ProcessResult(exit_code=-1, start_error=f"{error.strerror or error}: {spec.argv[0]}")
        report = None
        if spec.report and on_report is not None:
            report = _Report(spec.report, on_report)
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

    def _watch(self, report: _Report) -> None:
        self._watched.add(report)
        if self._watcher is None:
            loop = asyncio.get_running_loop()
            self._watcher = loop.call_later(_WATCH_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for report in tuple(self._watched):
            report.read()
        self._watcher = loop.call_later(_WATCH_SECONDS, self._look, loop) if self._watched else None


class _Descriptors:
    """Calls a function when a descriptor can be read: as `loop.add_reader`, for a fraction of its cost."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], object]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, descriptor: int, call: Callable[[], object], *, once: bool = False) -> None:
        """Begins to call a function when there is something to read: whenever, or once only."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.add_reader(self._epoll.fileno(), self._ready)
        self._epoll.register(descriptor, _ONCE if once else select.EPOLLIN)
        self._calls[descriptor] = call

    def again(self, descriptor: int) -> None:
        """Calls the function of a descriptor that was added for one call once more."""
        self._epoll.modify(descriptor, _ONCE)

    def close(self, descriptor: int) -> None:
        """Closes a descriptor.

        It is taken out of the epoll set first: a process that is just being started may still have it open, and its
        events would be taken for those of the next descriptor with that number (epoll(7)).
        """
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
        os.close(descriptor)

    def _ready(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            call = self._calls.get(descriptor)
            if call is not None:
                call()


class _Running:
    """One process that was started, with its pipes."""

    __slots__ = ("_descriptors", "_ended", "_pidfd", "_pipes", "pid")

    def __init__(
        self, spec: ProcessSpec, sinks: Sequence[Sink], env: Mapping[str, str], cwd: str, descriptors: _Descriptors
    ) -> None:
        """Starts the process.

        Raises:
            OSError: It could not be started.
        """
        self._descriptors = descriptors
        self._ended: asyncio.Future[None] | None = None
        self._pipes: dict[int, Sink] = {}
        writing: list[int] = []
        try:
            for sink in sinks:
                reading, other = os.pipe2(os.O_CLOEXEC)
                self._pipes[reading] = sink
                writing.append(other)
                os.set_blocking(reading, False)
            start = _spawn if spec.cwd == cwd else _popen
            self.pid = start(spec, env, *writing)
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            for reading in self._pipes:
                os.close(reading)
            raise
        finally:
            for other in writing:
                os.close(other)
        # Once, since it stays readable from the end of the process on.
        descriptors.add(self._pidfd, self._end, once=True)
        for reading in self._pipes:
            descriptors.add(reading, functools.partial(self._read, reading))

    def ended(self) -> asyncio.Future[None]:
        """Returns what is done once the process has ended; a new one where the last was cancelled."""
        if self._ended is not None:
            self._descriptors.again(self._pidfd)
        self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    def finish(self) -> None:
        """Takes what is left in the pipes, and closes everything."""
        self._descriptors.close(self._pidfd)
        for reading in tuple(self._pipes):
            for _ in range(_MOST_READS):
                if not self._read(reading):
                    break
            if reading in self._pipes:
                self._close(reading)

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _read(self, reading: int) -> bool:
        """Takes what is there, and returns whether there may be more."""
        try:
            data = os.read(reading, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._pipes[reading].write(data)
        else:
            self._close(reading)
        return bool(data)

    def _close(self, reading: int) -> None:
        self._descriptors.close(reading)
        self._pipes.pop(reading).close()


class _Report:
    """Hands over the lines of a report file."""

    __slots__ = ("_on_report", "_path", "_position", "_rest")

    def __init__(self, path: str, on_report: Callable[[bytes], None]) -> None:
        self._path = path
        self._on_report = on_report
        self._position = 0
        self._rest = b""

    def read(self) -> None:
        """Hands over the lines that are complete."""
        try:
            # A job may put anything there; what is no file is never waited for.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            while chunk := os.pread(descriptor, _REPORT_BYTES, self._position):
                self._position += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    self._on_report(line)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        """Hands over what is left, a last line without its newline included."""
        self.read()
        if self._rest:
            self._on_report(self._rest)


def _spawn(spec: ProcessSpec, env: Mapping[str, str], stdout: int, stderr: int) -> int:
    """Starts a process in our own directory, as posix_spawn cannot change it, and returns its pid."""
    return os.posix_spawn(
        spec.argv[0],
        tuple(spec.argv),
        env,
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, stdout, 1),
            (os.POSIX_SPAWN_DUP2, stderr, 2),
        ),
        setpgroup=0,
        setsigmask=(),
        setsigdef=_DEFAULT_SIGNALS,
    )


def _popen(spec: ProcessSpec, env: Mapping[str, str], stdout: int, stderr: int) -> int:
    """Starts a process in a directory of its own and returns its pid."""
    process = subprocess.Popen(
        spec.argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=spec.cwd, env=env, process_group=0
    )
    process.returncode = 0  # we wait for the process by its pid; nothing must warn that Popen does not
    return process.pid


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
