"""The program of the spawn server (`spawn_server.py`): starts processes for its client, and reports how they end.

It needs only parts of the standard library that are imported in a few milliseconds, and nothing of ours, since it
starts while a build runs. It ends when its client closes the requests, or dies; then no process that it has started
stays behind.

Runs wait in queues, and some of them for the ends of others. A run that fails, or that has written a report, is
reported before any other run of its queue starts: those that wait go back to the client, which decides whether they
still have to run. Requests that were sent before the client knew of it have the number of an earlier epoch, and go back
as well.
"""

from __future__ import annotations

import marshal
import os
import select
import time

START, WITHDRAW, FINISH, ENVIRONMENT = 0, 1, 2, 3
"""Kinds of requests."""

READY, ENDED, STARTED, OUTPUT, RETURNED, FAULT, FINISHED = 0, 1, 2, 3, 4, 5, 6
"""Kinds of replies."""

REQUESTS, RESPONSES = 3, 4
"""The descriptors of the server."""

LENGTH_BYTES = 4
"""The size of the length before each message."""

_READ_DELAY_SECONDS = 0.01
_READ_BYTES = 1 << 16
_REQUEST_BYTES = 1 << 20
_MAX_READS = 64
_MAX_REPLIES = 16
_MIN_WAITING = 10

# Their numbers on all architectures (signal(7)). The module `signal` takes a fifth of the time of the start.
_SIGHUP, _SIGINT, _SIGKILL, _SIGPIPE, _SIGTERM = 1, 2, 9, 13, 15
_DEFAULT_SIGNALS = (_SIGPIPE, _SIGINT, _SIGTERM, _SIGHUP)


class _Run:
    __slots__ = ("finished", "group_stays", "number", "pid", "pidfd", "pipes", "polled", "queue", "report", "started")

    def __init__(self, number: int, queue: _Queue, report: bytes) -> None:
        self.number = number
        self.queue = queue
        self.report = report
        self.pid = 0
        self.pidfd = -1
        self.pipes: dict[int, int] = {}
        self.started = 0.0
        self.polled = False
        self.group_stays = False
        self.finished = False


_Start = tuple[int, list[bytes], dict[bytes, bytes], bytes, bytes]


class _Queue:
    __slots__ = ("following", "open", "running", "slots", "waiting")

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running = 0
        # By number, in the order in which they can start.
        self.waiting: dict[int, _Start] = {}
        # Runs that wait for others, with the numbers of these; and the runs that have not ended, with those that wait
        # for them.
        self.following: dict[int, tuple[set[int], _Start]] = {}
        self.open: dict[int, list[int]] = {}

    def add(self, after: list[int], start: _Start) -> None:
        number = start[0]
        self.open[number] = []
        if awaited := self.open.keys() & after:
            self.following[number] = (awaited, start)
            for before in awaited:
                self.open[before].append(number)
        else:
            self.waiting[number] = start

    def ended(self, number: int) -> None:
        """Lets the runs that wait for a run wait for it no more."""
        for follower in self.open.pop(number, ()):
            if follower in self.following:
                awaited, start = self.following[follower]
                awaited.discard(number)
                if not awaited:
                    del self.following[follower]
                    self.waiting[follower] = start

    def take_next(self) -> _Start:
        """Removes and returns the next run that can start."""
        return self.waiting.pop(next(iter(self.waiting)))

    def take_all(self) -> list[int]:
        """Removes all runs that wait, and returns their numbers."""
        numbers = [*self.following, *self.waiting]
        self.following.clear()
        self.waiting.clear()
        for number in numbers:
            del self.open[number]
        return numbers

    def take(self, number: int) -> list[int]:
        """Removes a run that waits, and all that wait for it; returns their numbers, which are none if it does not."""
        if self.waiting.pop(number, None) is None and number not in self.following:
            return []
        taken = []
        left = [number]
        while left:
            one = left.pop()
            if one in self.open:
                self.following.pop(one, None)
                taken.append(one)
                left += [follower for follower in self.open.pop(one) if follower in self.following]
        return taken


class _Server:
    def __init__(self, requests: int, responses: int) -> None:
        self._requests = requests
        self._responses = responses
        for descriptor in (requests, responses):
            os.set_inheritable(descriptor, False)  # the processes must not keep the pipes open
        self._received = bytearray()
        self._epoll = select.epoll()
        self._epoll.register(requests, select.EPOLLIN)
        self._base_env: dict[bytes, bytes] = {}
        self._cwd = b""
        self._queues: dict[str, _Queue] = {}
        self._runs: dict[int, _Run] = {}
        self._ending: dict[int, _Run] = {}
        self._by_pidfd: dict[int, _Run] = {}
        self._by_pipe: dict[int, _Run] = {}
        self._unread: list[_Run] = []
        self._ended: list[_Run] = []
        self._replies: list[tuple[object, ...]] = []
        self._urgent = False
        self._epoch = 0

    def serve(self) -> None:
        self._send([(READY,)])
        while True:
            timeout = None
            if self._unread:
                timeout = max(self._unread[0].started + _READ_DELAY_SECONDS - time.monotonic(), 0.0)
            ready = [descriptor for descriptor, _ in self._epoll.poll(timeout)]
            # Requests first: the end of a process must be handled after a request that its group stays.
            if self._requests in ready and not self._receive():
                break
            for descriptor in ready:
                if descriptor in self._by_pidfd:
                    self._end(self._by_pidfd[descriptor])
                elif descriptor in self._by_pipe:
                    self._read(self._by_pipe[descriptor], descriptor)
            self._watch_long_runs()
            waiting = 0
            for name, queue in tuple(self._queues.items()):
                while queue.waiting and queue.running < queue.slots:
                    self._start(queue, *queue.take_next())
                waiting += len(queue.waiting) + len(queue.following)
                if not queue.running:
                    del self._queues[name]
            # After the starts, so that the next run of a chain does not wait for it.
            for run in self._ended:
                self._read_rest(run)
            self._ended.clear()
            # Replies share a message while there is enough to do: the client handles many at a time much faster.
            if self._replies and (self._urgent or waiting <= _MIN_WAITING or len(self._replies) >= _MAX_REPLIES):
                replies, self._replies, self._urgent = self._replies, [], False
                self._send(replies)
        for run in self._runs.values():
            _kill_group(run.pid)

    def _receive(self) -> bool:
        """Handles requests; returns False if the client has closed them, or has died."""
        data = os.read(self._requests, _REQUEST_BYTES)
        received = self._received
        received += data
        while len(received) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(received[:LENGTH_BYTES], "little")
            if len(received) < end:
                break
            request = marshal.loads(bytes(received[LENGTH_BYTES:end]))  # noqa: S302 - of the process that started this
            del received[:end]
            if request[0] == START:
                _, epoch, name, slots, after, *start = request
                if epoch == self._epoch:
                    queue = self._queues.get(name)
                    if queue is None:
                        queue = self._queues[name] = _Queue(slots)
                    queue.add(after, tuple(start))
                else:
                    self._replies.append((RETURNED, start[0]))
                    self._urgent = True
            elif request[0] == WITHDRAW:
                self._withdraw(request[1])
            elif request[0] == FINISH:
                # Of a process that could not be ended, the client gives up the rest.
                number = request[1]
                run = self._ending.pop(number) if number in self._ending else self._runs[number]
                self._make_room(run)
                self._read_rest(run)
                self._replies.append((FINISHED, request[1]))
                self._urgent = True
            else:
                self._base_env = request[1]
        return bool(data)

    def _withdraw(self, number: int) -> None:
        """Removes a run from its queue, or tells its process, whose group the client ends from now on."""
        run = self._runs.get(number)
        if run is not None:
            run.group_stays = True
            self._announce(run)
            return
        for queue in self._queues.values():
            for taken in queue.take(number):
                self._replies.append((RETURNED, taken))
                self._urgent = True

    def _start(
        self, queue: _Queue, number: int, argv: list[bytes], env: dict[bytes, bytes], cwd: bytes, report: bytes
    ) -> None:
        run = _Run(number, queue, report)
        descriptors: list[int] = []
        try:
            if cwd != self._cwd:
                os.chdir(cwd)
                self._cwd = cwd
            for _ in range(2):
                descriptors += os.pipe2(os.O_CLOEXEC)
            stdout, stdout_of_child, stderr, stderr_of_child = descriptors
            # A child that has left the group may hold a pipe open for ever, so that reads must never block.
            os.set_blocking(stdout, False)
            os.set_blocking(stderr, False)
            run.pid = os.posix_spawn(
                argv[0],
                argv,
                {**self._base_env, **env},
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, b"/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, stdout_of_child, 1),
                    (os.POSIX_SPAWN_DUP2, stderr_of_child, 2),
                ),
                setpgroup=0,
                setsigmask=(),
                setsigdef=_DEFAULT_SIGNALS,
            )
            run.pidfd = os.pidfd_open(run.pid)
        except OSError:
            # The client tries again by itself, and finds the cause.
            if run.pid:
                _kill_group(run.pid)
                os.waitpid(run.pid, 0)
            for descriptor in descriptors:
                os.close(descriptor)
            self._replies.append((FAULT, number, self._epoch + 1))
            self._return_waiting(queue, number)
            return
        run.started = time.monotonic()
        os.close(stdout_of_child)
        os.close(stderr_of_child)
        run.pipes = {stdout: 0, stderr: 1}
        self._by_pipe[stdout] = self._by_pipe[stderr] = run
        self._by_pidfd[run.pidfd] = run
        self._runs[number] = run
        self._epoll.register(run.pidfd, select.EPOLLIN)
        self._unread.append(run)
        queue.running += 1

    def _end(self, run: _Run) -> None:
        if not run.group_stays:
            # Children that are left running could still write. The leader has not been waited for yet, so its number
            # cannot be that of another group.
            _kill_group(run.pid)
        _, status, usage = os.wait4(run.pid, 0)
        ended = time.monotonic()
        del self._by_pidfd[run.pidfd], self._runs[run.number]
        self._epoll.unregister(run.pidfd)
        os.close(run.pidfd)
        if run.group_stays:
            # The rest of the group may write until the client has ended it.
            if not run.finished:
                self._poll_pipes(run)
                self._ending[run.number] = run
        else:
            self._make_room(run)
            self._ended.append(run)
        exit_code = os.waitstatus_to_exitcode(status)
        reported = bool(run.report) and os.access(run.report, os.F_OK)
        # The client may take the end of a group that it ends for that of a run over its timeout.
        epoch = self._epoch + (exit_code != 0 or reported or run.group_stays)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        peak = usage.ru_maxrss * 1024  # in KiB on Linux
        self._replies.append((ENDED, run.number, epoch, exit_code, run.started, ended, cpu_seconds, peak, reported))
        if epoch > self._epoch:
            self._return_waiting(run.queue, run.number)
        else:
            run.queue.ended(run.number)

    def _make_room(self, run: _Run) -> None:
        """Frees the slot of a run that has ended, or that the client has given up."""
        if not run.polled:
            self._unread.remove(run)
        run.queue.running -= 1
        run.finished = True

    def _read_rest(self, run: _Run) -> None:
        """Reads the rest of the output of a run, and closes its pipes."""
        for pipe in tuple(run.pipes):
            for _ in range(_MAX_READS):
                if not self._read(run, pipe):
                    break
            if pipe in run.pipes:
                self._close(run, pipe)

    def _return_waiting(self, queue: _Queue, ended: int) -> None:
        """Sends the waiting runs of a queue back, after the reply about the run that is the reason."""
        self._epoch += 1
        # The last first: each goes back to the front of a queue of the client.
        self._replies += [(RETURNED, number) for number in sorted(queue.take_all(), reverse=True)]
        del queue.open[ended]
        self._urgent = True

    def _watch_long_runs(self) -> None:
        """Reads the pipes of runs that take long, and tells the client that they have started."""
        due = time.monotonic() - _READ_DELAY_SECONDS if self._unread else 0.0
        while self._unread and self._unread[0].started <= due:
            run = self._unread[0]
            self._poll_pipes(run)
            self._announce(run)

    def _poll_pipes(self, run: _Run) -> None:
        if not run.polled:
            run.polled = True
            self._unread.remove(run)
            for pipe in run.pipes:
                self._epoll.register(pipe, select.EPOLLIN)

    def _announce(self, run: _Run) -> None:
        self._replies.append((STARTED, run.number, run.pid, run.started))
        self._urgent = True

    def _read(self, run: _Run, pipe: int) -> bool:
        """Passes on available output, and returns True if there may be more."""
        try:
            data = os.read(pipe, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._send([(OUTPUT, run.number, run.pipes[pipe], data)])
        else:
            self._close(run, pipe)
        return bool(data)

    def _close(self, run: _Run, pipe: int) -> None:
        del run.pipes[pipe], self._by_pipe[pipe]
        if run.polled:
            self._epoll.unregister(pipe)
        os.close(pipe)

    def _send(self, replies: list[tuple[object, ...]]) -> None:
        data = marshal.dumps(replies)
        data = len(data).to_bytes(LENGTH_BYTES, "little") + data
        while data:
            try:
                data = data[os.write(self._responses, data) :]
            except BrokenPipeError:
                return  # the client has died, which the next read of requests shows


def _kill_group(leader: int) -> None:
    try:  # noqa: SIM105 - contextlib takes a fifth of the time of the start
        os.killpg(leader, _SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def main() -> None:
    """Serves the client at its end of the pipes."""
    _Server(REQUESTS, RESPONSES).serve()
