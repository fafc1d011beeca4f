"""Runs processes on the workers of a cluster of Dask.

A run is a task of Dask whose function hands the process to an agent on the worker (`agent.py`). The news of it
arrives in messages of the plugin on the scheduler (`run_registry.py`): accepted, started, news about its output, ended.
There is no thread, task of asyncio or connection for each run.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pickle
import time
import zlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from databuild.errors import ExecutorError
from databuild.executors.command_size import CommandSize
from databuild.executors.dask.code_sender import CodeSender
from databuild.executors.dask.connection import Address, Connection, ConnectionLostError, Job
from databuild.executors.dask.delivery import Delivery, remove_output
from databuild.executors.dask.key_batch import KeyBatch
from databuild.executors.dask.output_reader import OutputReader
from databuild.executors.dask.runs import Run, dask_resources, new_key, parse_handle
from databuild.executors.executor import (
    Capabilities,
    Capacity,
    Placement,
    ProcessResult,
    ProcessSpec,
    UnconfirmedCancellationError,
)
from databuild.executors.registry import ExecutorOptions
from databuild.executors.uncancellable import ignoring_cancellation, uncancellable

CONFIRM_SECONDS: Final = 30.0
"""The time for which a cancellation waits for the end of the process."""

REATTACH_SECONDS: Final = 300.0
"""The time for which runs wait for a scheduler that cannot be reached."""

OVERDUE_SECONDS: Final = 60.0
"""The time after timeout and grace period after which the client ends a run that its worker should have ended."""

_PICKLE_PROTOCOL: Final = 5
_MAX_BATCH_RUNS: Final = 1000
_MAX_BATCH_BYTES: Final = 4 << 20
_SUBMIT_SECONDS: Final = 0.01
_CANCEL_DELAY_SECONDS: Final = 0.02
_RELEASE_DELAY_SECONDS: Final = 0.2
_MIN_BACKOFF_SECONDS: Final = 0.2
_MAX_BACKOFF_SECONDS: Final = 10.0
_CANCEL_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 2.0
_ACCEPT_SECONDS: Final = 0.02


class DaskExecutor:
    """Runs each process once, on any worker."""

    capabilities = Capabilities(
        ships_code=True, survives_client=True, live_logs=True, hard_cancel=True, may_run_twice=False
    )

    def __init__(
        self,
        uri: str,
        options: ExecutorOptions,
        *,
        confirm_seconds: float = CONFIRM_SECONDS,
        reattach_seconds: float = REATTACH_SECONDS,
        overdue_seconds: float = OVERDUE_SECONDS,
    ) -> None:
        """Connects to nothing yet.

        Args:
            uri: The address of the scheduler.
            options: How to talk to it.
            confirm_seconds: The time for which a cancellation waits for the end of the process.
            reattach_seconds: The time for which runs wait for a scheduler that cannot be reached.
            overdue_seconds: The time after timeout and grace period after which the client ends a run.

        Raises:
            InvalidRequestError: The URI is invalid.
        """
        self._address = Address(uri)
        self.uri = self._address.uri
        self._options = options
        self._confirm_seconds = confirm_seconds
        self._reattach_seconds = reattach_seconds
        self._overdue_seconds = overdue_seconds
        self._command_size = CommandSize({})
        self._threads = 0
        self._left = False
        self._runs: dict[str, Run] = {}
        self._pending: list[Run] = []
        self._unaccepted: dict[str, Any] = {}
        self._cancels = KeyBatch("cancel", self._connected, _CANCEL_DELAY_SECONDS)
        self._releases = KeyBatch("release", self._connected, _RELEASE_DELAY_SECONDS)
        self._connection: Connection | None = None
        self._is_connected = asyncio.Event()
        self._has_pending = asyncio.Event()
        self._connecting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._code = CodeSender()
        self._reader = OutputReader(self._connected, reattach_seconds)

    @property
    def capacity(self) -> Capacity:
        return Capacity(max(self._threads, 1), f"the {self._threads} threads of the workers of {self.uri}")

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        return self._command_size.fault(argv, env)

    async def connect(self) -> None:
        async with self._connecting:
            if self._tasks:
                return
            await self._open()
            for loop in (self._keep_connected(), self._submit_pending(), self._cancels.send(), self._releases.send()):
                self._start(loop)

    async def run(
        self,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        resources, fault = dask_resources(spec.properties)
        if fault:
            return ProcessResult(exit_code=-1, refused=fault)
        run = self._add(Run(spec, new_key(spec.run_id), resources, self._delivery(spec, on_report), on_placement))
        self._pending.append(run)
        self._has_pending.set()
        return await self._finish(run)

    async def resume(
        self,
        handle: str,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        key, scheduler_id = parse_handle(handle)
        remove_output(spec)
        if spec.code is not None:
            self._code.register(spec.code)
        run = self._add(Run(spec, key, {}, self._delivery(spec, on_report), on_placement))
        run.submitted = True
        return await self._finish(run, scheduler_id)

    def leave(self) -> None:
        self._left = True

    async def close(self) -> None:
        while self._tasks:  # the client of Dask swallows cancellations at times
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(tuple(self._tasks), timeout=_CLOSE_SECONDS)
        self._code.close()
        for run in tuple(self._runs.values()):
            run.end({"lost": "the executor was closed"})
        connection, self._connection = self._connection, None
        self._is_connected.clear()
        if connection is not None:
            if not connection.is_lost:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await self._releases.flush(connection)
            await connection.close()

    # One run.

    def _delivery(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None) -> Delivery:
        return Delivery(spec, on_report, self._options.log_limit_bytes)

    def _add(self, run: Run) -> Run:
        self._runs[run.key] = run
        return run

    async def _finish(self, run: Run, scheduler_id: str = "") -> ProcessResult:
        """Waits for the end of a run and its output; ends the run if the awaiting task is cancelled.

        Args:
            run: The run.
            scheduler_id: The scheduler that the run was submitted to, for runs that were submitted before.
        """
        try:
            if run.submitted:
                connection = await self._connected()
                if scheduler_id == connection.scheduler_id:
                    await uncancellable(self._attach(connection, [run]))
                else:
                    run.end({"lost": "the scheduler of Dask was restarted since, and has forgotten the run"})
            await asyncio.wait((run.ended,))
            message = run.ended.result()
            return run.result(message, await self._reader.finish(run, message))
        except asyncio.CancelledError:
            if not (self._left or run.spec.is_detached()):
                await self._cancel(run)
            raise
        finally:
            self._forget(run)

    async def _cancel(self, run: Run) -> None:
        """Ends a run, and defers cancellations of the awaiting task until then.

        Raises:
            UnconfirmedCancellationError: The engine did not confirm the end in time.
        """
        if not run.submitted:
            if run in self._pending:  # otherwise it is missed when its batch is submitted
                self._pending.remove(run)
            return
        ended = await ignoring_cancellation(self._end_run(run))
        if not ended:
            raise UnconfirmedCancellationError

    async def _end_run(self, run: Run) -> bool:
        """Asks the engine to end a run until it has ended, takes its output, and returns True if that was in time."""
        try:
            async with asyncio.timeout(self._confirm_seconds):
                while not run.ended.done():
                    if not run.accepted:  # calls can overtake submissions
                        await asyncio.wait((run.ended,), timeout=_ACCEPT_SECONDS)
                        continue
                    self._cancels.add(run.key)
                    await asyncio.wait((run.ended,), timeout=_CANCEL_SECONDS)
                await self._reader.finish(run, run.ended.result())
        except TimeoutError:
            return False
        return "lost" not in run.ended.result()

    def _forget(self, run: Run) -> None:
        self._runs.pop(run.key, None)
        self._unaccepted.pop(run.key, None)
        for scheduled in (run.deadline, run.pulling):
            if scheduled is not None:
                scheduled.cancel()
        if run.submitted and run.is_over:
            self._releases.add(run.key)

    # Messages.

    def _receive(self, message: Mapping[str, Any]) -> None:
        event = message["event"]
        if event == "threads":
            self._threads = message["threads"]
            return
        if event == "accepted":
            for run_id in message["runs"]:
                self._accept(run_id)
            return
        run = self._runs.get(message["run"])
        if run is None:
            return
        if "machine" in message and run.start(message) and run.spec.timeout_seconds is not None:
            limit = run.spec.timeout_seconds + self._options.grace_seconds + self._overdue_seconds
            run.deadline = asyncio.get_running_loop().call_later(limit, self._end_overdue, run)
        if event == "news":
            self._reader.news(run, message["sizes"])
        elif event == "need_code" and self._connection is not None:
            self._code.send(self._connection, message["worker"], message["digest"])
        elif event == "ended":
            run.end(message)

    def _accept(self, run_id: str) -> None:
        self._unaccepted.pop(run_id, None)
        run = self._runs.get(run_id)
        if run is not None and self._connection is not None:
            run.accept(self._connection.scheduler_id)

    def _end_overdue(self, run: Run) -> None:
        run.overdue = True
        self._start(self._end_late(run))

    async def _end_late(self, run: Run) -> None:
        if not await self._end_run(run):
            run.end({"lost": f"the worker {run.machine} did not end the run at its timeout"})

    # Submission.

    async def _submit_pending(self) -> None:
        while True:
            await self._has_pending.wait()
            connection = await self._connected()
            if connection.is_lost:
                self._is_connected.clear()
                self._connection = None
                continue
            batch, self._pending = self._pending[:_MAX_BATCH_RUNS], self._pending[_MAX_BATCH_RUNS:]
            if not self._pending:
                self._has_pending.clear()
            jobs: dict[str, Job] = {}
            size = 0
            for index, run in enumerate(batch):
                try:
                    jobs[run.key] = job = await self._job(run.spec)
                except OSError as error:
                    run.end({"fault": f"a file of the run cannot be read: {error}"})
                    continue
                size += len(job.details)
                following = batch[index + 1].resources if index + 1 < len(batch) else None
                if following != run.resources or size > _MAX_BATCH_BYTES:
                    self._submit(connection, jobs, run.resources)
                    jobs, size = {}, 0
            # Dask sends no more often either, and a graph of several tasks costs the scheduler little more than one.
            await asyncio.sleep(_SUBMIT_SECONDS)

    def _submit(self, connection: Connection, jobs: Mapping[str, Job], resources: Mapping[str, float]) -> None:
        # Runs that were cancelled meanwhile are not there any more.
        jobs = {run_id: job for run_id, job in jobs.items() if run_id in self._runs}
        for run_id in jobs:
            self._runs[run_id].submitted = True
        if jobs:
            futures = connection.submit(jobs, resources)
            self._unaccepted.update(zip(jobs, futures, strict=True))

    async def _job(self, spec: ProcessSpec) -> Job:
        """Returns what a worker has to know about a run.

        Raises:
            OSError: The task description or the code cannot be read.
        """
        task, compressed = spec.task, False
        if isinstance(task, Path):
            task, compressed = await asyncio.to_thread(_compressed, task), True
        details = {
            "argv": tuple(spec.argv),
            "env": dict(spec.env),
            "root": spec.code.root if spec.code is not None else "",
            "task": task,
            "compressed": compressed,
            "report": bool(spec.report),
            "files": [bool(spec.stdout), bool(spec.stderr)],
            "timeout": spec.timeout_seconds,
            "grace": self._options.grace_seconds,
            "limit": self._options.log_limit_bytes,
        }
        code = await self._code.add(spec.code) if spec.code is not None else None
        return Job(code, pickle.dumps(details, protocol=_PICKLE_PROTOCOL))

    # The connection.

    async def _connected(self) -> Connection:
        while self._connection is None:
            await self._is_connected.wait()
        return self._connection

    async def _open(self) -> Connection:
        connection = await Connection.open(self._address, self._options.tls, self._receive)
        self._threads = connection.threads
        self._connection = connection
        self._is_connected.set()
        return connection

    async def _keep_connected(self) -> None:
        """Connects again whenever the connection is lost, and attaches to all runs."""
        connection = await self._connected()
        while True:
            await connection.lost(self._check_unaccepted)
            self._connection = None
            self._is_connected.clear()
            await connection.close()
            connection = await self._reconnect()

    async def _reconnect(self) -> Connection:
        deadline = time.monotonic() + self._reattach_seconds
        pause = _MIN_BACKOFF_SECONDS
        while True:
            try:
                runs = [run for run in self._runs.values() if run.submitted]
                connection = await self._open()
            except ExecutorError as error:
                if time.monotonic() > deadline:
                    for run in self._runs.values():
                        run.end(
                            {"lost": f"the scheduler has not answered for {self._reattach_seconds:g} s: {error.fault}"}
                        )
                    self._pending.clear()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MAX_BACKOFF_SECONDS)
            else:
                await self._attach(connection, runs)
                return connection

    async def _attach(self, connection: Connection, runs: Sequence[Run]) -> None:
        """Asks for the messages about runs so far, and gets those that follow; does nothing if the connection is lost.

        Args:
            connection: The connection, which has not submitted the runs: a call can overtake a submission.
            runs: The runs.
        """
        for start in range(0, len(runs), _MAX_BATCH_RUNS):
            part = runs[start : start + _MAX_BATCH_RUNS]
            keys = [run.key for run in part]
            try:
                messages = await connection.call("attach", client=connection.client_id, runs=keys)
            except ConnectionLostError:
                return  # they are attached by the next connection
            for run in part:
                for message in messages.get(run.key, ()):
                    self._receive(message)
                if run.worker and not run.ended.done():
                    self._reader.catch_up(run)
                if run.key not in messages:
                    run.end(
                        {"lost": "the scheduler of Dask does not know the run; it was restarted, or the run released"}
                    )

    def _check_unaccepted(self) -> None:
        for run_id, future in list(self._unaccepted.items()):
            if future.status == "error" and run_id in self._runs:
                self._runs[run_id].end({"refused": "the scheduler of Dask cannot read the task"})

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(functools.partial(_done, self._tasks))


def _compressed(path: Path) -> bytes:
    return zlib.compress(path.read_bytes(), 1)


def _done(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
