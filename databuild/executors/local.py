"""Runs processes on this machine, and requests to workers.

Processes are started by `posix_spawn` with pipes for their output, and a pidfd for each in one epoll set reports its
end. While many short ones follow each other, a spawn server starts them (`spawn_server.py`). This module does not know
the purpose of the processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from databuild.errors import ProcessesLeftError
from databuild.executors.capacity import capacity_of
from databuild.executors.command_size import CommandSize
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capabilities, Capacity, NotStartedError, ProcessResult, ProcessSpec, RunQueue
from databuild.executors.out_of_memory import OomKills
from databuild.executors.output import LogFile, TailBuffer
from databuild.executors.process_end import ProcessEnd, end_group, reap
from databuild.executors.process_group import kill_groups_with
from databuild.executors.report_file import ReportPoller
from databuild.executors.running_process import RunningProcess
from databuild.executors.start_faults import start_fault
from databuild.executors.starter import Starter
from databuild.executors.uncancellable import uncancellable
from databuild.executors.watchdog import watchdog

if TYPE_CHECKING:
    from databuild.executors.spawn_server import SpawnServer
    from databuild.executors.workers.worker_runs import WorkerRuns

RUN_VARIABLE: Final = "DATABUILD_JOB_RUN_ID"
"""The environment variable that names the job run."""

BUILD_VARIABLE: Final = "DATABUILD_BUILD_REQUEST_ID"
"""The environment variable that names the build. Every process of a build inherits it, so that orphans can be found."""

STARTER_VARIABLE: Final = "DATABUILD_STARTED_BY"
"""The environment variable of every process with the name of the process that started it. The id of a build is unique
only in its event log, so two builds on one machine may have the same."""

OWNER_VARIABLE: Final = "DATABUILD_WORKERS_OF"
"""The environment variable of workers with the name of the process that started them: they serve several builds."""

DEFAULT_GRACE_SECONDS: Final = 10.0
"""The time between TERM and KILL for a process group."""

DEFAULT_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The maximum size of each log file, and of each stream that is returned in the result."""

START_SECONDS: Final = 60.0
"""The time for which a start waits for descriptors, processes or memory while none of our processes holds any."""

_READ_DELAY_SECONDS = 0.01

PLAIN_SECONDS: Final = 0.02
"""The maximum run time of a plain run. For longer ones, the cost of a start does not matter."""

MIN_PLAIN_RUNS: Final = 8
"""The number of plain runs in a row after which others wait in the queues of a spawn server."""

MIN_EXPECTED_RUNS: Final = 64
"""The number of expected runs for which a spawn server is started before any of them has been plain: it needs as much
time to be ready as a few dozens of short runs."""

MAX_QUEUED_PER_SLOT: Final = 15
"""The maximum number of runs that wait in a queue, for each that runs."""

MAX_QUEUE_SLOTS: Final = 32
"""The maximum number of runs of a queue that run at once: the server does not raise its limit on open files."""

# 128 + 9 is the exit code of a shell whose command was killed.
_KILLED: Final = frozenset({-signal.SIGKILL, 128 + signal.SIGKILL})


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
        process: str = "",
        max_processes: int = 0,
        worker_idle_seconds: float | None = None,
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
            process: The name of this process, by which `kill_orphans` finds its processes and workers; empty for one
                that nobody knows.
            max_processes: The number of running processes and idle workers above which workers end; 0 for the number
                of processors.
            worker_idle_seconds: The time after which an idle worker ends; None to keep it until `close`.
        """
        self.grace_seconds = grace_seconds
        self._process = process or os.urandom(8).hex()
        base_env = {**base_env, STARTER_VARIABLE: self._process}
        self._command_size = CommandSize(base_env)
        self._log_limit_bytes = log_limit_bytes
        descriptor_limit = descriptor_limit or DescriptorLimit()
        self.capacity = capacity or capacity_of(descriptor_limit)
        self._slots = asyncio.Semaphore(self.capacity.processes)
        self._oom_kills = OomKills()
        self._starter = Starter(base_env, descriptor_limit, start_seconds)
        self._reports = ReportPoller()
        self._unread: set[RunningProcess] = set()
        self._read_timer: asyncio.TimerHandle | None = None
        self._max_processes = max_processes or len(os.sched_getaffinity(0))
        self._worker_idle_seconds = worker_idle_seconds
        self._workers: WorkerRuns | None = None
        self._server: SpawnServer | None = None
        self._plain_runs = 0

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        return self._command_size.fault(argv, env)

    def expect_runs(self, slots: int, count: int) -> None:
        if self._server is None and self._plain_runs and count >= MIN_EXPECTED_RUNS and self._may_queue(slots):
            self._launch_server()

    def queue_room(self, slots: int, waiting: int) -> int | None:
        if self._server is None:
            if self._plain_runs >= MIN_PLAIN_RUNS and waiting >= slots and self._may_queue(slots):
                self._launch_server()
            return None
        if not waiting or not self._server.usable or not self._may_queue(slots):
            return None
        return MAX_QUEUED_PER_SLOT * slots if self._plain_runs >= MIN_PLAIN_RUNS else 0

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        may_report: Callable[[], bool] = _always
        if spec.queue is not None and on_report is not None:
            on_report, may_report = _after_start(spec.queue, on_report), spec.queue.may_report
        async with self._slots:
            with self._reports.reading(spec.report, on_report, may_report):
                if spec.worker is not None:
                    from databuild.executors.workers.worker_runs import request_of

                    if (request := request_of(spec)) is not None:
                        self._oom_kills.sample(time.monotonic())
                        output = self._sink(spec.stdout), self._sink(spec.stderr)
                        return await self._worker_runs().run(spec, request, *output, self._oom_kills.since)
                if spec.queue is not None and self._server is not None and self._server.usable:
                    from databuild.executors.spawn_server import ServerFaultError

                    with contextlib.suppress(ServerFaultError):  # the start below explains it, or waits
                        return await self._run_queued(spec, spec.queue, self._server)
                elif spec.queue is not None and spec.queue.after:
                    raise NotStartedError
                return await self._run_process(spec)

    async def _run_queued(self, spec: ProcessSpec, queue: RunQueue, server: SpawnServer) -> ProcessResult:
        from databuild.executors.spawn_server import ServerLostError

        stdout, stderr = self._sink(spec.stdout), self._sink(spec.stderr)
        self._oom_kills.sample(time.monotonic())
        self._starter.running += 1
        try:
            end, timed_out, started, ended, reported = await server.run(
                spec, queue, (stdout, stderr), lambda: self.grace_seconds
            )
        except ServerLostError:
            # It may have run, or may still run: its environment identifies it.
            queue.on_start(time.monotonic(), False)
            unended = await self._kill_run(spec)
            lost = "the process that starts short job runs has ended unexpectedly"
            return ProcessResult(exit_code=-1, lost=lost, unended=tuple(unended))
        except asyncio.CancelledError:
            if not server.usable:
                await uncancellable(self._kill_run(spec))
            raise
        finally:
            self._starter.running -= 1
            stdout.close()
            stderr.close()
        self._count(end.exit_code, ended - started, reported=reported)
        return self._result(end, stdout, stderr, started, ended, timed_out=timed_out)

    async def _kill_run(self, spec: ProcessSpec) -> Collection[int]:
        return await kill_groups_with(
            _variable(RUN_VARIABLE, spec.env[RUN_VARIABLE]), _variable(STARTER_VARIABLE, self._process)
        )

    async def _run_process(self, spec: ProcessSpec) -> ProcessResult:
        starter = self._starter
        stdout, stderr = self._sink(spec.stdout), self._sink(spec.stderr)

        def start(open_files: int | None) -> RunningProcess:
            spawn = functools.partial(starter.spawner.spawn, spec.argv, spec.env, spec.cwd, open_files=open_files)
            return RunningProcess(spawn, stdout, stderr, starter.poller)

        if self._workers is not None:
            self._workers.make_room()
        try:
            running = await starter.start(start)
        except OSError as error:
            fault = start_fault(error, spec.argv, starter.spawner.whole_env(spec.env), spec.cwd)
            return ProcessResult(exit_code=-1, start_fault=fault)
        self._read_later(running)
        started = time.monotonic()  # after the start, whose waits for resources are not part of the run
        if spec.queue is not None:
            spec.queue.on_start(started, False)
        self._oom_kills.sample(started)
        starter.running += 1
        try:
            end, timed_out = await self._wait(running, spec.timeout_seconds)
        finally:
            starter.running -= 1
            self._unread.discard(running)
            running.finish()
        ended = time.monotonic()
        reported = bool(spec.report) and os.access(spec.report, os.F_OK)
        self._count(end.exit_code, ended - started, reported=reported)
        return self._result(end, stdout, stderr, started, ended, timed_out=timed_out)

    def _result(
        self,
        end: ProcessEnd,
        stdout: LogFile | TailBuffer,
        stderr: LogFile | TailBuffer,
        started: float,
        ended: float,
        *,
        timed_out: bool,
    ) -> ProcessResult:
        return ProcessResult(
            exit_code=end.exit_code,
            timed_out=timed_out,
            duration_seconds=ended - started,
            cpu_seconds=end.cpu_seconds,
            peak_memory_bytes=end.peak_memory_bytes,
            oom_kills=self._oom_kills.since(started, ended) if end.exit_code in _KILLED and not timed_out else 0,
            unended=end.unended,
            stdout=stdout.content() if isinstance(stdout, TailBuffer) else b"",
            stderr=stderr.content() if isinstance(stderr, TailBuffer) else b"",
        )

    def _count(self, exit_code: int, seconds: float, *, reported: bool) -> None:
        """Counts plain runs in a row. Others are looked at before further runs start, so that these cannot wait."""
        self._plain_runs = 0 if exit_code or reported or seconds > PLAIN_SECONDS else self._plain_runs + 1

    def _launch_server(self) -> None:
        from databuild.executors.spawn_server import SpawnServer

        with contextlib.suppress(OSError):  # tried again
            self._server = SpawnServer(self._starter, self._starter.spawner.base_env)

    def _may_queue(self, slots: int) -> bool:
        return slots <= MAX_QUEUE_SLOTS and slots * (MAX_QUEUED_PER_SLOT + 1) <= self.capacity.processes

    def guarded(self, build_request_id: str) -> AbstractContextManager[None]:  # noqa: ARG002 - all builds die with us
        return watchdog(f"{STARTER_VARIABLE}={self._process}")

    async def kill_orphans(self, build_request_id: str, process: str) -> None:
        # Every process of a build inherits the variables, so that its environment identifies it (proc(5)).
        started_by = (_variable(STARTER_VARIABLE, process),) if process else ()
        groups = set(await kill_groups_with(_variable(BUILD_VARIABLE, build_request_id), *started_by))
        if process not in {"", self._process}:
            # A worker serves several builds, and a process that is dead, or does not renew its leases, has none.
            groups.update(await kill_groups_with(_variable(OWNER_VARIABLE, process)))
        if groups:
            raise ProcessesLeftError(build_request_id, sorted(groups))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._workers is not None:
            await self._workers.close()

    def _sink(self, path: str) -> LogFile | TailBuffer:
        return LogFile(path, self._log_limit_bytes) if path else TailBuffer(self._log_limit_bytes)

    def _worker_runs(self) -> WorkerRuns:
        if self._workers is None:
            from databuild.executors.workers.worker_runs import WorkerRuns

            self._workers = WorkerRuns(
                self._starter,
                owner=f"{OWNER_VARIABLE}={self._process}",
                max_processes=self._max_processes,
                idle_seconds=self._worker_idle_seconds,
                grace_seconds=lambda: self.grace_seconds,
            )
        return self._workers

    async def _wait(self, running: RunningProcess, timeout_seconds: float | None) -> tuple[ProcessEnd, bool]:
        """Waits for the end of a process, and returns it and True if the process was ended for its timeout."""
        ended = running.ended()
        try:
            if timeout_seconds is None:
                await ended
            else:
                done, _ = await asyncio.wait((ended,), timeout=timeout_seconds)
                if not done:
                    return await uncancellable(self._end(running.pid, ended)), True
        except asyncio.CancelledError:
            # The future was cancelled with the awaiting task. The pidfd stays readable after the end of the process, so
            # a new future cannot miss it.
            await uncancellable(self._end(running.pid, running.ended()))
            raise
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Children that are left running could still write to outputs that are about to be recorded as complete. The
            # pid cannot have been reused: the process has not been waited for yet.
            os.killpg(running.pid, signal.SIGKILL)
        return reap(running.pid), False

    async def _end(self, pid: int, ended: asyncio.Future[None]) -> ProcessEnd:
        return await end_group(pid, ended, lambda: self.grace_seconds)

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


def _variable(name: str, value: str) -> bytes:
    """Returns an environment variable as it stands in the environment of a process."""
    return f"{name}={value}".encode()


def _always() -> bool:
    return True


def _after_start(queue: RunQueue, on_report: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Returns a callback for reports that reports the start of the run before."""

    def call(line: bytes) -> None:
        queue.on_start(time.monotonic(), False)
        on_report(line)

    return call
