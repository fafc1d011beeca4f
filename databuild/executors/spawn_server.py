"""The client of the spawn server, a process that starts short runs and waits for their ends.

The event loop of a build cannot start a process without waiting until the program runs, and handles the end of each
process by itself, with cold caches. The server does that beside it (`spawn_server_main.py`): runs wait in queues there,
a process starts as soon as another of its queue ends, and the client handles many ends at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import marshal
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from databuild.executors.executor import NotStartedError, ProcessSpec, RunQueue
from databuild.executors.output import OutputSink
from databuild.executors.process_end import UNENDED, ProcessEnd
from databuild.executors.process_group import GroupTermination
from databuild.executors.spawn_server_main import (
    ENDED,
    ENVIRONMENT,
    FAULT,
    FINISH,
    FINISHED,
    LENGTH_BYTES,
    OUTPUT,
    READY,
    RETURNED,
    START,
    STARTED,
    WITHDRAW,
)
from databuild.executors.starter import Starter
from databuild.executors.uncancellable import uncancellable
from databuild.tuples import NamedTuple

_READ_BYTES: Final = 1 << 20
_MIN_CHILD_DESCRIPTOR: Final = 10
# Imported, since Python would compile a main file at every start.
_PROGRAM: Final = "import sys; sys.path.append(sys.argv[1]); import spawn_server_main; spawn_server_main.main()"
_ENCODING: Final = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


class ServerFaultError(Exception):
    """The server could not start a process."""


class ServerLostError(Exception):
    """The server has ended; the process may run, or have run."""


class _TimeoutError(Exception):
    """The run exceeded its timeout."""


class ServedEnd(NamedTuple):
    """The end of a process.

    Attributes:
        end: Its exit code and resource usage.
        timed_out: True if it was ended because it exceeded its timeout.
        started: The monotonic time of its start.
        ended: The monotonic time of its end.
        reported: True if its report file exists.
    """

    end: ProcessEnd
    timed_out: bool
    started: float
    ended: float
    reported: bool


class _Served:
    """A run that the server has."""

    __slots__ = (
        "_late_end",
        "_timeout_seconds",
        "_timer",
        "answered",
        "ended",
        "epoch",
        "on_start",
        "pid",
        "sinks",
        "started_time",
    )

    def __init__(
        self, sinks: Sequence[OutputSink], on_start: Callable[[float, bool], None], timeout_seconds: float | None
    ) -> None:
        self.sinks = sinks
        self.on_start = on_start
        self.pid = 0
        self.epoch = 0
        self.started_time = 0.0
        self.ended: asyncio.Future[ServedEnd] = asyncio.get_running_loop().create_future()
        self.answered: asyncio.Future[None] | None = None
        self._timeout_seconds = timeout_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._late_end: ServedEnd | Exception | None = None

    @property
    def comes_back(self) -> bool:
        """True if the run was not started, or its end is not known, which its task has not seen yet."""
        ended = self.ended
        return ended.done() and (ended.cancelled() or ended.exception() is not None)

    def start(self, pid: int, started_time: float) -> None:
        """Called with the process of a run that has not ended soon."""
        if not self.pid and self._timeout_seconds is not None:
            due = started_time + self._timeout_seconds
            self._timer = asyncio.get_running_loop().call_at(due, self._time_out)
        self.pid = pid
        self.started_time = started_time
        self.on_start(started_time, False)
        self.answer()

    def answer(self) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)

    def end(self, end: ServedEnd | Exception) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.renew()
        if self.ended.done():  # by the timeout, which its task has not seen yet
            self._late_end = end
        elif isinstance(end, ServedEnd):
            self.ended.set_result(end)
        else:
            self.ended.set_exception(end)

    def renew(self, *, timed_out: bool = False) -> None:
        """Replaces the future of the end if it was cancelled with its task, or used by the timeout."""
        if self.ended.cancelled() or timed_out:
            self.ended = asyncio.get_running_loop().create_future()
            if self._late_end is not None:
                self.end(self._late_end)

    def _time_out(self) -> None:
        if not self.ended.done():
            self.ended.set_exception(_TimeoutError())


class SpawnServer:
    """A spawn server, and the runs that it has. Used from one event loop."""

    def __init__(self, starter: Starter, base_env: Mapping[str, str]) -> None:
        """Starts the server; it is ready some milliseconds later.

        Args:
            starter: Starts it, and polls its replies.
            base_env: The base environment; the variables of each process override it.

        Raises:
            OSError: The server could not be started.
        """
        self._ready = False
        self._poller = starter.poller
        self._runs: dict[int, _Served] = {}
        self._numbers: dict[str, int] = {}
        self._last_number = 0
        self._epoch = 0
        self._received = bytearray()
        self._unsent = bytearray()
        self._requests = self._responses = -1
        self._loop = asyncio.get_running_loop()
        self._pid = self._launch(starter)
        self._send((ENVIRONMENT, _encoded(base_env)))

    @property
    def usable(self) -> bool:
        """True if the server takes runs of the current event loop."""
        return self._ready and self._loop is asyncio.get_running_loop()

    async def run(
        self,
        spec: ProcessSpec,
        queue: RunQueue,
        sinks: Sequence[OutputSink],
        grace_seconds: Callable[[], float],
    ) -> ServedEnd:
        """Runs a process to its end, after those of the same queue that were passed before.

        Args:
            spec: The process.
            queue: The queue.
            sinks: The destinations of standard output and standard error.
            grace_seconds: Returns the time between TERM and KILL.

        Raises:
            NotStartedError: Another run of the queue has ended in a way that the caller has to look at first, or a run
                before it is not in the queue.
            ServerFaultError: The server could not start the process.
            ServerLostError: The server has ended.
            asyncio.CancelledError: The awaiting task was cancelled; the process group has ended, or never started.
        """
        after = [self._numbers.get(run_id, 0) for run_id in queue.after]
        if not all(number in self._runs and not self._runs[number].comes_back for number in after):
            raise NotStartedError
        self._last_number += 1
        number = self._numbers[spec.run_id] = self._last_number
        served = self._runs[number] = _Served(sinks, queue.on_start, spec.timeout_seconds)
        report = spec.report.encode(*_ENCODING)
        argv = [argument.encode(*_ENCODING) for argument in spec.argv]
        request = (number, argv, _encoded(spec.env), spec.cwd.encode(*_ENCODING), report)
        self._send((START, self._epoch, queue.name, queue.slots, after, *request))
        try:
            # Callers resume in the order of the replies, because nothing is between this future and their tasks.
            return await served.ended
        except _TimeoutError:
            served.renew(timed_out=True)
            ended = await uncancellable(self._end(number, served, grace_seconds))
            return ended._replace(timed_out=True)
        except asyncio.CancelledError:
            served.renew()
            with contextlib.suppress(NotStartedError, ServerFaultError, ServerLostError):
                await uncancellable(self._end(number, served, grace_seconds))
            raise
        finally:
            del self._runs[number]
            self._numbers.pop(spec.run_id, None)
            # Not before the caller handles this end: until then, no other run may start.
            self._epoch = max(self._epoch, served.epoch)

    def close(self) -> None:
        """Ends the server. No run may be going on."""
        self._lose()

    def _launch(self, starter: Starter) -> int:
        opened: list[int] = []
        try:
            requests, self._requests = _pipe(opened)
            self._responses, responses = _pipe(opened)
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            opened.append(null)
            # The numbers that the server gets must not be those of other descriptors that it gets.
            inherited = tuple(
                fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _MIN_CHILD_DESCRIPTOR)
                for descriptor in (requests, responses)
            )
            opened += inherited
            folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
            argv = (sys.executable, "-I", "-S", "-c", _PROGRAM, folder)
            pid = starter.spawner.spawn(argv, {}, "/", null, null, inherited=inherited)
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        for descriptor in (requests, responses, null, *inherited):
            os.close(descriptor)
        os.set_blocking(self._requests, False)
        os.set_blocking(self._responses, False)
        self._poller.add(self._responses, self._read)
        return pid

    async def _end(self, number: int, served: _Served, grace_seconds: Callable[[], float]) -> ServedEnd:
        """Ends the process group of a run, or removes the run from its queue."""
        if not served.ended.done():
            # The server answers with the process, unless the run has ended or goes back.
            await self._ask(served, (WITHDRAW, number))
        if served.ended.done():
            return served.ended.result()
        group = GroupTermination(served.pid, grace_seconds=grace_seconds)
        if await group.end_leader(served.ended):
            ended = served.ended.result()
            ended = ended._replace(end=ended.end._replace(unended=tuple(await group.end_members())))
            await self._ask(served, (FINISH, number))  # reads the rest of the output
            return ended
        self._send((FINISH, number))
        end = UNENDED._replace(unended=(served.pid,))
        return ServedEnd(end, False, served.started_time, self._loop.time(), False)

    async def _ask(self, served: _Served, request: tuple[Any, ...]) -> None:
        """Sends a request about a run, and waits for the reply, or for the end of the run if it has not ended."""
        served.answered = self._loop.create_future()
        self._send(request)
        ended = () if served.ended.done() else (served.ended,)
        await asyncio.wait((served.answered, *ended), return_when=asyncio.FIRST_COMPLETED)

    def _send(self, request: tuple[Any, ...]) -> None:
        data = marshal.dumps(request)
        first = not self._unsent
        self._unsent += len(data).to_bytes(LENGTH_BYTES, "little") + data
        if first and len(self._runs) == 1:
            self._write_first()  # the server has nothing else to do
        elif first:
            self._loop.call_soon(self._write_first)  # together with the other requests of this round of the event loop

    def _write_first(self) -> None:
        if not self._write():
            self._loop.add_writer(self._requests, self._write_more)

    def _write(self) -> bool:
        """Writes what the pipe takes, and returns True if nothing is left to write."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._requests, self._unsent)]
        except BlockingIOError:
            return False
        except OSError:
            self._unsent.clear()  # the server has ended, which the end of its replies shows
        return True

    def _write_more(self) -> None:
        if self._write():
            self._loop.remove_writer(self._requests)

    def _read(self) -> None:
        data = os.read(self._responses, _READ_BYTES)
        if not data:
            self._lose()
            return
        received = self._received
        received += data
        while len(received) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(received[:LENGTH_BYTES], "little")
            if len(received) < end:
                break
            replies = marshal.loads(bytes(received[LENGTH_BYTES:end]))  # noqa: S302 - of our own process
            del received[:end]
            for reply in replies:
                self._handle(*reply)

    def _handle(self, kind: int, *values: Any) -> None:
        if kind == READY:
            self._ready = True
            return
        number, *rest = values
        served = self._runs.get(number)
        if served is None:  # a process that could not be ended, and was given up, has ended after all
            if kind == ENDED:
                self._epoch = max(self._epoch, rest[0])
            return
        if kind in {ENDED, FAULT}:
            served.epoch = rest[0]
        if kind == OUTPUT:
            stream, data = rest
            served.sinks[stream].write(data)
        elif kind == STARTED:
            served.start(*rest)
        elif kind == FINISHED:
            served.answer()
        elif kind == ENDED:
            _, exit_code, started, ended, cpu_seconds, peak_memory_bytes, reported = rest
            served.on_start(started, True)
            end = ProcessEnd(exit_code, cpu_seconds, peak_memory_bytes)
            served.end(ServedEnd(end, False, started, ended, reported))
        else:
            served.end(NotStartedError() if kind == RETURNED else ServerFaultError())

    def _lose(self) -> None:
        """Ends the server if it has not ended."""
        if self._pid == 0:
            return
        pid, self._pid, self._ready = self._pid, 0, False
        self._poller.close(self._responses)
        if self._unsent:
            self._loop.remove_writer(self._requests)
            self._unsent.clear()
        os.close(self._requests)
        os.kill(pid, signal.SIGKILL)  # without effect if it has ended; it has not been waited for
        os.waitpid(pid, 0)
        for served in tuple(self._runs.values()):
            served.end(ServerLostError())
            served.answer()


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {name.encode(*_ENCODING): value.encode(*_ENCODING) for name, value in variables.items()}


def _pipe(opened: list[int]) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    opened += ends
    return ends
