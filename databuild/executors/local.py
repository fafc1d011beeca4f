"""Runs processes on this machine.

Processes are started by `posix_spawn` with pipes for their output, and a pidfd for each in one epoll set reports its
end: the cheapest way that we know from Python. This module does not know the purpose of the processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from databuild.errors import ProcessesLeftError
from databuild.executors.capacity import capacity_of
from databuild.executors.command_size import CommandSize
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capabilities, Capacity, ProcessResult, ProcessSpec
from databuild.executors.fd_poller import FdPoller
from databuild.executors.out_of_memory import OomKills
from databuild.executors.output import LogFile, TailBuffer
from databuild.executors.process_group import GroupTermination, kill_groups_with
from databuild.executors.report_file import ReportFile
from databuild.executors.running_process import RunningProcess
from databuild.executors.spawning import Spawner
from databuild.executors.start_faults import EXHAUSTED, start_fault
from databuild.executors.uncancellable import uncancellable
from databuild.executors.watchdog import watchdog

BUILD_VARIABLE: Final = "DATABUILD_BUILD_REQUEST_ID"
"""The environment variable that names the build. Every process of a build inherits it, so that orphans can be found."""

DEFAULT_GRACE_SECONDS: Final = 10.0
"""The time between TERM and KILL for a process group."""

DEFAULT_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The maximum size of each log file, and of each stream that is returned in the result."""

START_SECONDS: Final = 60.0
"""The time for which a start waits for descriptors, processes or memory while none of our processes holds any."""

_REPORT_POLL_SECONDS = 0.25
_READ_DELAY_SECONDS = 0.01
_MIN_START_BACKOFF_SECONDS = 0.01
_MAX_START_BACKOFF_SECONDS = 1.0


class _Usage(NamedTuple):
    """The exit code and resource usage of a process."""

    exit_code: int
    cpu_seconds: float
    peak_memory_bytes: int
    unended: Sequence[int] = ()


_USAGE_OF_UNENDED: Final = _Usage(-signal.SIGKILL, 0.0, 0)


class LocalExecutor:
    """Runs each process in a process group of its own, and leaves no member of the group running."""

    capabilities = Capabilities(
        ships_code=False, survives_client=False, live_logs=True, hard_cancel=True, may_run_twice=False
    )

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
            base_env: The base environment; the variables of each process override it.
            grace_seconds: The time between TERM and KILL for a process group; may be changed while processes run.
            log_limit_bytes: The maximum size of each stream.
            descriptor_limit: The limit on open files of this process; None to create the object.
            capacity: The number of processes that run at once; None for as many as fit on the machine.
            start_seconds: The time for which a start waits for descriptors, processes or memory while none of our
                processes holds any.
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
        self._poller = FdPoller()
        self._running = 0
        self._polled_reports: set[ReportFile] = set()
        self._report_timer: asyncio.TimerHandle | None = None
        self._unread: set[RunningProcess] = set()
        self._read_timer: asyncio.TimerHandle | None = None

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        return self._command_size.fault(argv, env)

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        async with self._slots:
            stdout, stderr = self._sink(spec.stdout), self._sink(spec.stderr)
            try:
                running = await self._start(spec, stdout, stderr)
            except OSError as error:
                fault = start_fault(error, spec.argv, self._spawner.whole_env(spec.env), spec.cwd)
                return ProcessResult(exit_code=-1, start_fault=fault)
            started = time.monotonic()  # after the start, whose waits for resources are not part of the run
            self._oom_kills.sample(started)
            self._running += 1
            report = None
            if spec.report and on_report is not None:
                report = ReportFile(spec.report, on_report)
                self._poll(report)
            try:
                usage, timed_out = await self._wait(running, spec.timeout_seconds)
            finally:
                self._running -= 1
                self._unread.discard(running)
                running.finish()
                if report is not None:
                    self._polled_reports.discard(report)
                    report.finish()
        ended = time.monotonic()
        # 128 + 9 is the exit code of a shell whose command was killed.
        killed = usage.exit_code in {-signal.SIGKILL, 128 + signal.SIGKILL} and not timed_out
        return ProcessResult(
            exit_code=usage.exit_code,
            timed_out=timed_out,
            duration_seconds=ended - started,
            cpu_seconds=usage.cpu_seconds,
            peak_memory_bytes=usage.peak_memory_bytes,
            oom_kills=self._oom_kills.since(started, ended) if killed else 0,
            unended=usage.unended,
            stdout=stdout.content() if isinstance(stdout, TailBuffer) else b"",
            stderr=stderr.content() if isinstance(stderr, TailBuffer) else b"",
        )

    def guarded(self, build_request_id: str) -> AbstractContextManager[None]:
        return watchdog(f"{BUILD_VARIABLE}={build_request_id}")

    async def kill_orphans(self, build_request_id: str) -> None:
        # Every process of a build inherits the variable, so that its environment identifies it (proc(5)).
        groups = await kill_groups_with(f"{BUILD_VARIABLE}={build_request_id}".encode())
        if groups:
            raise ProcessesLeftError(build_request_id, sorted(groups))

    def _sink(self, path: str) -> LogFile | TailBuffer:
        return LogFile(path, self._log_limit_bytes) if path else TailBuffer(self._log_limit_bytes)

    async def _start(
        self, spec: ProcessSpec, stdout: LogFile | TailBuffer, stderr: LogFile | TailBuffer
    ) -> RunningProcess:
        """Starts a process; retries with back-off while the machine lacks descriptors, processes or memory.

        Raises:
            OSError: The process cannot be started.
        """
        waited = 0.0
        pause = _MIN_START_BACKOFF_SECONDS
        while True:
            limit = self._descriptor_limit
            start = functools.partial(self._spawner.spawn, spec.argv, spec.env, spec.cwd, open_files=limit.raised_from)
            try:
                running = RunningProcess(start, stdout, stderr, self._poller)
            except OSError as error:
                # Each of our processes releases resources when it ends, so wait without limit while any run. Other
                # programs may never release theirs.
                if error.errno not in EXHAUSTED or (not self._running and waited >= self._start_seconds):
                    raise
                waited = 0.0 if self._running else waited + pause
                if error.errno == errno.EMFILE:
                    limit.raise_limit()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_START_BACKOFF_SECONDS)
                continue
            limit.opened(running.highest_descriptor)
            self._read_later(running)
            return running

    async def _wait(self, running: RunningProcess, timeout_seconds: float | None) -> tuple[_Usage, bool]:
        """Waits for the end of a process, and returns its usage and True if it was ended for its timeout."""
        ended = running.ended()
        try:
            if timeout_seconds is None:
                await ended
            else:
                done, _ = await asyncio.wait((ended,), timeout=timeout_seconds)
                if not done:
                    return await uncancellable(self._end_group(running.pid, ended)), True
        except asyncio.CancelledError:
            # The future was cancelled with the awaiting task. The pidfd stays readable after the end of the process, so
            # a new future cannot miss it.
            await uncancellable(self._end_group(running.pid, running.ended()))
            raise
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Children that are left running could still write to outputs that are about to be recorded as complete. The
            # pid cannot have been reused: the process has not been waited for yet.
            os.killpg(running.pid, signal.SIGKILL)
        return _wait_for(running.pid), False

    async def _end_group(self, pid: int, ended: asyncio.Future[None]) -> _Usage:
        group = GroupTermination(pid, grace_seconds=lambda: self.grace_seconds)
        if not await group.end_leader(ended):
            return _USAGE_OF_UNENDED._replace(unended=(pid,))
        usage = _wait_for(pid)
        return usage._replace(unended=tuple(await group.end_members()))

    def _read_later(self, running: RunningProcess) -> None:
        """Starts to read the pipes of a process after 10 ms; a shorter process is read once, at its end.

        Adding two pipes to the epoll set and removing them would be a large part of the cost of a short run.
        """
        self._unread.add(running)
        if self._read_timer is None:
            self._read_timer = asyncio.get_running_loop().call_later(_READ_DELAY_SECONDS, self._start_reading)

    def _start_reading(self) -> None:
        self._read_timer = None
        for running in self._unread:
            running.start_reading()
        self._unread.clear()

    def _poll(self, report: ReportFile) -> None:
        """Polls a report file until it is discarded; one timer serves all of them."""
        self._polled_reports.add(report)
        if self._report_timer is None:
            loop = asyncio.get_running_loop()
            self._report_timer = loop.call_later(_REPORT_POLL_SECONDS, self._poll_all, loop)

    def _poll_all(self, loop: asyncio.AbstractEventLoop) -> None:
        for report in tuple(self._polled_reports):
            report.read()
        polled = self._polled_reports
        self._report_timer = loop.call_later(_REPORT_POLL_SECONDS, self._poll_all, loop) if polled else None


def _wait_for(pid: int) -> _Usage:
    _, status, usage = os.wait4(pid, 0)
    return _Usage(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
