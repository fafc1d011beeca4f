"""Runs of processes as requests to workers."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Hashable

from databuild.executors.executor import ProcessResult, ProcessSpec, WorkerSpec
from databuild.executors.memory_pressure import MemoryPressure
from databuild.executors.output import LogFile, TailBuffer
from databuild.executors.start_faults import start_fault
from databuild.executors.starter import Starter
from databuild.executors.watchdog import watchdog
from databuild.executors.workers.pool import Limits, WorkerPool
from databuild.executors.workers.worker import Worker
from databuild.v1 import job_pb2


class WorkerRuns:
    """Serves runs by workers, which are started when they are needed."""

    def __init__(
        self,
        starter: Starter,
        *,
        owner: str,
        max_processes: int,
        idle_seconds: float | None,
        grace_seconds: Callable[[], float],
    ) -> None:
        """Starts nothing yet.

        Args:
            starter: Starts the processes.
            owner: The environment variable of all workers, written `NAME=VALUE`, by which they are found.
            max_processes: The maximum number of running processes and idle workers together.
            idle_seconds: The time after which an idle worker ends; None to keep it until `close`.
            grace_seconds: Returns the time between TERM and KILL.
        """
        self._starter = starter
        self._owner = owner
        self._grace_seconds = grace_seconds
        self._pool = WorkerPool(
            max_processes=max_processes,
            idle_seconds=idle_seconds,
            clock=time.monotonic,
            memory_is_short=MemoryPressure().is_short,
        )
        starter.give_way = self._pool.give_way
        self._prefix = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._guard = contextlib.ExitStack()
        self._guarded = False

    def make_room(self) -> None:
        """Ends idle workers, so that there is room for one more process."""
        if self._pool.idle:
            self._pool.make_room(self._starter.running)

    async def run(
        self,
        spec: ProcessSpec,
        request: job_pb2.JobRequest,
        stdout: LogFile | TailBuffer,
        stderr: LogFile | TailBuffer,
        oom_kills: Callable[[float, float], int],
    ) -> ProcessResult:
        """Serves a run to its end, as `Executor.run` does.

        Args:
            spec: The run, which has a worker.
            request: Its request, from `request_of`.
            stdout: The destination of standard output.
            stderr: The destination of standard error.
            oom_kills: Returns the number of processes that were killed for lack of memory between two times.
        """
        assert spec.worker is not None
        key = _key(spec, spec.worker)
        worker = self._pool.take(key)
        if worker is None:
            worker = self._new_worker()
            self.make_room()
            try:
                name, _, value = self._owner.partition("=")
                env = {**spec.worker.env, name: value}
                await worker.start(self._starter, spec.argv[0], env, spec.cwd, stdout, stderr)
            except OSError as error:
                fault = start_fault(error, spec.argv, self._starter.spawner.whole_env(spec.env), spec.cwd)
                return ProcessResult(exit_code=-1, start_fault=fault)
        assert isinstance(worker, Worker)
        started = time.monotonic()
        self._starter.running += 1
        try:
            # No event has the usage of `config`.
            measured = not spec.worker.configure or spec.worker.max_memory_bytes > 0
            answer = await worker.serve(request, stdout, stderr, spec.timeout_seconds, measured=measured)
        finally:
            self._starter.running -= 1
            self._pool.give_back(key, worker, Limits(spec.worker.max_requests, spec.worker.max_memory_bytes))
        ended = time.monotonic()
        return ProcessResult(
            exit_code=answer.exit_code,
            timed_out=answer.timed_out,
            duration_seconds=ended - started,
            cpu_seconds=answer.usage.cpu_seconds,
            peak_memory_bytes=answer.usage.peak_memory_bytes,
            oom_kills=oom_kills(started, ended) if answer.exit_code < 0 and not answer.timed_out else 0,
            unended=answer.unended,
            stdout=stdout.content() if isinstance(stdout, TailBuffer) else b"",
            stderr=stderr.content() if isinstance(stderr, TailBuffer) else b"",
            worker_id=worker.id,
            worker_request=worker.served,
            worker_fault=answer.fault,
            configured=answer.configured,
        )

    async def close(self) -> None:
        """Ends the workers, and returns when they have ended."""
        await self._pool.close()
        self._guard.close()
        self._guarded = False

    def _new_worker(self) -> Worker:
        if not self._guarded:
            self._guarded = True
            self._guard.enter_context(watchdog(self._owner))
        return Worker(
            f"{self._prefix}-{next(self._numbers)}",
            grace_seconds=self._grace_seconds,
            on_unusable=self._pool.discard,
        )


def request_of(spec: ProcessSpec) -> job_pb2.JobRequest | None:
    """Returns the request of a run to its worker; None if it has none, or has texts that a message cannot hold."""
    worker = spec.worker
    if worker is None:
        return None
    # A worker has the variables with which it was started.
    env = {name: value for name, value in spec.env.items() if worker.env.get(name) != value}
    try:
        if worker.configure:
            configure = job_pb2.JobConfigureRequest(env=env)
            for ref in worker.arguments:
                configure.outputs.add(str=ref)
            return job_pb2.JobRequest(configure=configure)
        return job_pb2.JobRequest(execute=job_pb2.JobExecuteRequest(args=worker.arguments, env=env))
    except ValueError:  # a path that is not UTF-8
        return None


def _key(spec: ProcessSpec, worker: WorkerSpec) -> Hashable:
    return spec.argv[0], worker.code_digest, spec.cwd, tuple(sorted(worker.env.items()))
