"""One worker process: its start, its requests, one at a time, and its end.

    STARTING --hello--> IDLE --request--> SERVING --response--> IDLE

A fault or the end of the process leads from each state to an unusable worker, and fails the request that it serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

from google.protobuf.message import DecodeError

from databuild.executors.executor import WorkerFault
from databuild.executors.output import OutputSink, TailBuffer
from databuild.executors.process_end import ProcessEnd, end_group, reap
from databuild.executors.process_group import KILL_SECONDS, kill_groups_with
from databuild.executors.running_process import RunningProcess
from databuild.executors.starter import Starter
from databuild.executors.uncancellable import uncancellable
from databuild.executors.workers.channel import MAX_STALL_SECONDS, Channel
from databuild.executors.workers.leftovers import Leftovers
from databuild.executors.workers.measurement import Measurement, Usage
from databuild.tuples import NamedTuple
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

PROTOCOL_VERSION: Final = 1
COMMAND: Final = "worker"
"""The only argument with which a worker is started."""

VERSION_VARIABLE: Final = "DATABUILD_WORKER"
ID_VARIABLE: Final = "DATABUILD_WORKER_ID"
"""The environment variable with the id of the worker, which all of its processes inherit."""

MAX_HELLO_SECONDS: Final = 120.0
"""The time that a program may take to become ready for requests."""

_HANG_UP_SECONDS: Final = 2.0
"""The time that an idle worker may take to end."""

_CLOSE_SECONDS: Final = 1.0
_NO_OUTPUT: Final = TailBuffer(0)
_MAX_SHOWN: Final = 200
_HINT: Final = (
    "The program of a job with worker = True has to serve requests (docs/workers.md); fix it, or remove worker"
)


class Answer(NamedTuple):
    """The end of a request.

    Attributes:
        exit_code: The exit code of the run; that of the worker if it has ended.
        fault: The reason why the request was not served; None if it was, or if a signal ended the worker.
        configured: The configurations, if the request asked for them.
        timed_out: True if the request took too long.
        usage: The resources of the request.
        unended: Processes of the worker that could not be ended.
    """

    exit_code: int
    fault: WorkerFault | None = None
    configured: job_pb2.JobConfigureResponse | None = None
    timed_out: bool = False
    usage: Usage = Usage(0.0, 0, 0)
    unended: tuple[int, ...] = ()


class SwitchedOutput:
    """Passes output to the destination of the current request. Between requests, output is dropped."""

    def __init__(self, sink: OutputSink) -> None:
        self._sink = sink

    def switch(self, sink: OutputSink | None) -> None:
        """Closes the destination, and passes later output to another one; None to drop it."""
        self._sink.close()
        self._sink = sink or _NO_OUTPUT

    def write(self, data: bytes) -> None:
        self._sink.write(data)

    def close(self) -> None:
        """Closes nothing: output of the next request may follow."""


class Worker:
    """A worker process.

    Attributes:
        id: The id, unique among all workers.
        served: The number of requests that it got.
        memory_bytes: Its resident memory after the last request.
    """

    def __init__(
        self,
        worker_id: str,
        *,
        grace_seconds: Callable[[], float],
        on_unusable: Callable[[Worker], None] = lambda _: None,
        hello_seconds: float = MAX_HELLO_SECONDS,
        stall_seconds: float = MAX_STALL_SECONDS,
    ) -> None:
        """Starts nothing yet.

        Args:
            worker_id: The id.
            grace_seconds: Returns the time between TERM and KILL.
            on_unusable: Called when an idle worker becomes unusable.
            hello_seconds: The time that the program may take to become ready.
            stall_seconds: The time for which a message may stay incomplete.
        """
        self.id: Final = worker_id
        self.served = 0
        self._usable = True
        self.memory_bytes = 0
        self._variable = f"{ID_VARIABLE}={worker_id}"
        self._grace_seconds = grace_seconds
        self._on_unusable = on_unusable
        self._hello_seconds = hello_seconds
        self._stall_seconds = stall_seconds
        self._outputs: tuple[SwitchedOutput, ...] = ()
        self._greeted = False
        self._hello_timer: asyncio.TimerHandle | None = None
        self._request: job_pb2.JobRequest | None = None
        self._response: job_pb2.JobResponse | None = None
        self._fault: WorkerFault | None = None
        self._closed = False
        self._turn: asyncio.Future[None] | None = None
        self._ending: asyncio.Task[ProcessEnd] | None = None

    async def start(
        self,
        starter: Starter,
        program: str,
        env: Mapping[str, str],
        cwd: str,
        stdout: OutputSink,
        stderr: OutputSink,
    ) -> None:
        """Starts the process, but does not wait until it is ready.

        Args:
            starter: Starts the process.
            program: The absolute path of the program.
            env: The variables that override the base environment.
            cwd: The working directory.
            stdout: The destination of standard output until the end of the first request.
            stderr: The same for standard error.

        Raises:
            OSError: The process cannot be started.
        """
        stdout, stderr = self._outputs = (SwitchedOutput(stdout), SwitchedOutput(stderr))
        env = {**env, VERSION_VARIABLE: str(PROTOCOL_VERSION), ID_VARIABLE: self.id}

        def start(open_files: int | None) -> RunningProcess:
            channel = Channel(
                starter.poller,
                on_message=self._on_message,
                on_fault=self._fail,
                on_close=self._on_close,
                stall_seconds=self._stall_seconds,
            )
            spawn = functools.partial(
                starter.spawner.spawn,
                (program, COMMAND),
                env,
                cwd,
                open_files=open_files,
                inherited=channel.inherited,
            )
            try:
                running = RunningProcess(spawn, stdout, stderr, starter.poller)
            except OSError:
                channel.close()
                raise
            finally:
                channel.close_inherited()
            self._channel = channel
            return running

        self._running = await starter.start(start)
        self._running.start_reading()
        self._ended = self._running.ended()
        self._ended.add_done_callback(lambda _: self._on_end())
        self._measurement = Measurement(self._running.pid)
        self._leftovers = Leftovers(self._running.pid, self._variable, kill_seconds=KILL_SECONDS)
        self._hello_timer = asyncio.get_running_loop().call_later(self._hello_seconds, self._on_silence)

    async def serve(
        self,
        request: job_pb2.JobRequest,
        stdout: OutputSink,
        stderr: OutputSink,
        timeout_seconds: float | None,
        *,
        measured: bool = True,
    ) -> Answer:
        """Serves a request. Afterwards, no process that it started is running, and its output is complete.

        Args:
            request: The request, without its id.
            stdout: The destination of standard output, which is closed at the end.
            stderr: The same for standard error.
            timeout_seconds: The maximum duration; None for no limit.
            measured: False for a request whose usage nobody needs.

        Raises:
            asyncio.CancelledError: The awaiting task was cancelled; the worker has ended.
        """
        self.served += 1
        request.request_id = self.served
        self._request, self._response = request, None
        self._turn = asyncio.get_running_loop().create_future()
        if self.served > 1:
            self._running.drain()  # of what was printed between the requests
            for output, sink in zip(self._outputs, (stdout, stderr), strict=True):
                output.switch(sink)
            self._leftovers.mark()
            if measured:
                self._measurement.start()
            self._channel.send(request.SerializeToString())
        try:
            return await self._answer(self._turn, timeout_seconds, measured=measured)
        except asyncio.CancelledError:
            await uncancellable(self._stop())
            raise
        finally:
            self._request = None
            for output in self._outputs:
                output.switch(None)

    @property
    def usable(self) -> bool:
        """True if the worker can get another request."""
        # The event loop may not have noticed the end of the process yet.
        return self._usable and os.waitid(os.P_PID, self._running.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    async def end(self) -> None:
        """Ends an idle worker, and returns when it has ended."""
        self._channel.hang_up()
        await asyncio.wait((self._ended,), timeout=_HANG_UP_SECONDS)
        await self._stop()

    async def _answer(self, turn: asyncio.Future[None], timeout_seconds: float | None, *, measured: bool) -> Answer:
        """Waits for the end of the request: a response, a fault, the end of the worker, or of the time."""
        if timeout_seconds is None:
            await turn
        elif not (await asyncio.wait((turn,), timeout=timeout_seconds))[0]:
            end = await self._stop()
            return Answer(end.exit_code, timed_out=True, usage=self._usage_until(end), unended=tuple(end.unended))
        response = self._response
        if response is not None and self._fault is None:
            if not await self._leftovers.end():
                self._fail("left processes running that could not be ended", users_fault=False)
            self._running.drain()
            self._channel.read()  # a second response may be there already
        if self._closed and not self._ended.done() and response is None:
            await asyncio.wait((self._ended,), timeout=_CLOSE_SECONDS)
            if not self._ended.done():
                self._fail("closed its responses (descriptor 4)")
        if response is not None and self._fault is None:
            if not measured:
                return _answer_of(response)
            usage = self._measurement.end()
            self.memory_bytes = usage.memory_bytes
            return _answer_of(response)._replace(usage=usage)
        has_ended = self._ended.done()
        end = await self._stop()
        fault = self._fault
        if fault is None and end.exit_code >= 0:
            fault = self._fault_of_end(end.exit_code)
        exit_code = end.exit_code if has_ended else 1
        return Answer(exit_code, fault, usage=self._usage_until(end), unended=tuple(end.unended))

    def _fault_of_end(self, exit_code: int) -> WorkerFault:
        if self._greeted:
            return WorkerFault(
                message=f"was not finished: its worker ended with exit code {exit_code} before it answered",
                users_fault=False,
            )
        return WorkerFault(message=f"ended with exit code {exit_code} before it was ready for requests. {_HINT}")

    def _usage_until(self, end: ProcessEnd) -> Usage:
        return self._measurement.until(end.cpu_seconds, end.peak_memory_bytes)

    async def _stop(self) -> ProcessEnd:
        """Ends the process with all that it started, and returns its end."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end_process(), name=f"end-of-worker-{self.id}")
        return await uncancellable(_result(self._ending))

    async def _end_process(self) -> ProcessEnd:
        self._usable = False
        self._cancel_hello_timer()
        pid = self._running.pid
        if self._ended.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            end = reap(pid)
        else:
            end = await end_group(pid, self._ended, self._grace_seconds)
        # Those of its processes that have left its group.
        unended = await kill_groups_with(self._variable.encode())
        self._channel.close()
        self._running.finish()
        return end._replace(unended=(*end.unended, *unended))

    def _on_message(self, data: bytes) -> None:
        try:
            response = job_pb2.JobResponse.FromString(data)
        except DecodeError:
            self._fail(f"sent {data[:_MAX_SHOWN]!r}, which is not a JobResponse")
            return
        kind = response.WhichOneof("response")
        if self._fault is not None:
            return
        if not self._greeted:
            self._greet(response)
        elif self._request is None or self._response is not None:
            self._fail(f"answered twice, or without a request: {_shown(response)}")
        elif response.request_id != self.served:
            self._fail(
                f"answered request {response.request_id}, but was asked request {self.served}: {_shown(response)}"
            )
        elif kind not in {self._request.WhichOneof("request"), "failure"}:
            self._fail(f"answered a request to {self._request.WhichOneof('request')} with {_shown(response)}")
        else:
            self._response = response
            self._wake()

    def _greet(self, response: job_pb2.JobResponse) -> None:
        if not response.HasField("hello"):
            self._fail(f"sent {_shown(response)} before its hello")
        elif response.hello.protocol_version != PROTOCOL_VERSION:
            self._fail(
                f"speaks version {response.hello.protocol_version} of the worker protocol; this DataBuild speaks "
                f"version {PROTOCOL_VERSION}"
            )
        else:
            self._greeted = True
            self._cancel_hello_timer()
            self._leftovers.keep()
            assert self._request is not None
            self._channel.send(self._request.SerializeToString())

    def _on_silence(self) -> None:
        self._fail(f"was not ready for requests within {self._hello_seconds:g} seconds")

    def _on_close(self) -> None:
        self._closed = True
        self._become_unusable()

    def _on_end(self) -> None:
        self._channel.read()  # its last response may not have been read yet
        self._become_unusable()

    def _fail(self, message: str, *, users_fault: bool = True) -> None:
        if self._fault is None:
            hint = f". {_HINT}" if users_fault else ""
            self._fault = WorkerFault(message=f"was not served: its worker {message}{hint}", users_fault=users_fault)
        self._become_unusable()

    def _become_unusable(self) -> None:
        was_usable, self._usable = self._usable, False
        self._wake()
        if was_usable and self._request is None:
            self._on_unusable(self)

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _cancel_hello_timer(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None


def _shown(response: job_pb2.JobResponse) -> str:
    return " ".join(str(response).split())[:_MAX_SHOWN] or "an empty JobResponse"


def _answer_of(response: job_pb2.JobResponse) -> Answer:
    kind = response.WhichOneof("response")
    if kind == "configure":
        return Answer(0, configured=response.configure)
    if kind == "execute":
        return Answer(response.execute.exit_code)
    failure = response.failure
    users_fault = failure.category != pt.FAILURE_CATEGORY_INFRASTRUCTURE
    return Answer(1, WorkerFault(message=failure.message or "failed without a message", users_fault=users_fault))


async def _result(task: asyncio.Task[ProcessEnd]) -> ProcessEnd:
    return await asyncio.shield(task)
