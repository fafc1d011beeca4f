"""Copies the logs of job runs to a store while they grow.

Output goes to a file first, as always. Threads copy what was added to the store, in pieces, and remove the file when
all of it is there. So a store that is away neither delays a job nor loses a log: the file stays, and the next process
with the same state directory copies the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from databuild.errors import DataBuildError
from databuild.event_log.reads import BuildReads
from databuild.model import statuses
from databuild.orchestration.logs.log_files import STREAMS, log_size, read_log, unstored_folder
from databuild.orchestration.logs.pieces import piece_of, pieces_among, run_uri, stored_bytes
from databuild.orchestration.logs.stored_logs import MAX_PIECE_BYTES
from databuild.storage.storages import Storages

THREADS: Final = 8
FIRST_SECONDS: Final = 2.0
"""The time after the start of a job run at which its first piece is stored, and the minimum between two."""
MAX_SECONDS: Final = 10.0
"""The maximum time between two pieces of a log. It grows with the age of the job run and with the number of logs."""
_AGE_PER_SECOND: Final = 60.0
_LOGS_PER_SECOND: Final = 1000
MANY_PIECES: Final = 32
"""A log with more pieces than this is stored once more at its end, in pieces as large as possible."""
FIRST_PAUSE_SECONDS: Final = 1.0
MAX_PAUSE_SECONDS: Final = 60.0
"""The time before a store that was away is tried again. It doubles with each failure."""
_FINISH_SECONDS: Final = 60.0
"""The maximum time for which the end of a build waits for its logs to be stored."""
STALL_SECONDS: Final = 10.0
"""The maximum time for which it waits while none is stored."""
_LAST_ATTEMPTS: Final = 2
"""The number of failures after which the end of a build or process does not wait any longer."""
_CLOSE_SECONDS: Final = 5.0
_JOIN_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Log:
    """A log that is being copied.

    Attributes:
        path: Its file.
        stored: The number of bytes that are in the store; None if that has to be listed.
        pieces: The number of pieces in the store.
        begun: The time at which its job run began.
        ended: True if nothing more is written.
        due: The time of the next copy.
        busy: True while a thread copies it.
    """

    log_store: str
    job_run_id: str
    stream: str
    path: str
    stored: int | None
    begun: float
    pieces: int = 0
    ended: bool = False
    due: float = 0.0
    busy: bool = False

    @property
    def build(self) -> str:
        return self.job_run_id.partition(".")[0]


@dataclass(slots=True)
class _Outage:
    """The state of a store that has failed since it last worked.

    Attributes:
        until: The time at which it is tried again.
        failures: The number of failures.
        fault: The last failure, in words.
    """

    until: float = 0.0
    failures: int = 0
    fault: str = ""


@dataclass(order=True, slots=True)
class _Due:
    time: float
    number: int
    log: _Log = field(compare=False)


class LogUploads:
    """Copies logs of builds of this process, and those that earlier processes have left. Used from one event loop.

    Args:
        storages: The stores.
        log_directory: The folder of the job logs of this machine.
        clock: Returns a time in seconds that never goes back.
        threads: The maximum number of threads, which start when there is something to copy.
    """

    def __init__(
        self,
        storages: Storages,
        log_directory: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        threads: int = THREADS,
    ) -> None:
        self._storages = storages
        self._folder = unstored_folder(log_directory)
        self._clock = clock
        self._max_threads = threads
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._closed = False
        self._logs: dict[str, _Log] = {}
        self._left: Counter[str] = Counter()
        self._queue: list[_Due] = []
        self._number = 0
        self._outages: dict[str, _Outage] = {}

    def folder(self, build_request_id: str) -> str:
        """Returns the folder for the log files of a build."""
        return f"{self._folder}/{build_request_id}"

    def begin(self, log_store: str, job_run_id: str, *, resumed: bool = False) -> None:
        """Copies the logs of a job run from now on.

        Args:
            log_store: The URI of their store.
            job_run_id: The job run.
            resumed: True if another process may have stored a part of them.
        """
        now = self._clock()
        with self._changed:
            for stream, path in self._paths(job_run_id):
                log = _Log(log_store, job_run_id, stream, path, None if resumed else 0, now)
                self._add(log, now + self._interval(log, now))

    def end(self, job_run_id: str) -> tuple[int, int]:
        """Copies the rest of the logs of a job run at once, and returns the sizes of its standard output and error."""
        sizes = {path: log_size(path) for _, path in self._paths(job_run_id)}
        with self._changed:
            for path, size in sizes.items():
                log = self._logs[path]
                log.ended = True
                if size:
                    self._put(log, 0.0)
                else:
                    self._remove(log)
        stdout, stderr = sizes.values()
        return stdout, stderr

    async def finish(self, log_store: str, build_request_id: str) -> Sequence[str]:
        """Waits until the logs of a build are stored, for a limited time.

        Args:
            log_store: The URI of their store.
            build_request_id: The build, whose job runs have ended.

        Returns:
            A warning that says where the logs are that could not be stored, if there are any.
        """
        with self._changed:
            # Another process may have begun the build on this machine, and died before it stored all logs.
            for job_run_id, stream, path in self._files(build_request_id):
                self._add_left(log_store, job_run_id, stream, path)
            if outage := self._outages.get(log_store):
                outage.until = 0.0
                for log in list(self._logs.values()):
                    if log.ended and log.log_store == log_store:
                        self._put(log, 0.0)
        if await asyncio.to_thread(self._wait, log_store, build_request_id, _FINISH_SECONDS):
            with contextlib.suppress(OSError):  # it does not exist if no job run has written anything
                os.rmdir(self.folder(build_request_id))  # noqa: PTH106
            return ()
        with self._changed:
            left = self._outages.get(log_store)
            reason = left.fault if left is not None else "it takes too long"
            runs = len({log.job_run_id for log in self._logs.values() if log.build == build_request_id})
        counted = f"{runs} job {'run' if runs == 1 else 'runs'}"
        warning = (
            f"the logs of {counted} are not in {log_store} yet: {reason}; they are in "
            f"{self.folder(build_request_id)}, and the next build or service with this state directory stores them"
        )
        return (warning,)

    def take_over(self, reader: BuildReads) -> int:
        """Copies the logs of ended builds that earlier processes have left, and returns their number."""
        count = 0
        try:
            builds = sorted(os.listdir(self._folder))  # noqa: PTH208 (each build would import pathlib)
        except FileNotFoundError:
            return 0
        for build in builds:
            record = reader.build(build)
            if record is None or record.status not in statuses.BUILD.ended:
                continue
            if record.pruned_time:
                shutil.rmtree(self.folder(build), ignore_errors=True)
                continue
            for job_run_id, stream, path in self._files(build):
                run = reader.job_run(job_run_id)
                if run is not None and run.log_store:
                    with self._changed:
                        self._add_left(run.log_store, job_run_id, stream, path)
                    count += 1
            with contextlib.suppress(OSError):  # it has files
                os.rmdir(self.folder(build))  # noqa: PTH106
        return count

    def copy_next(self) -> bool:
        """Copies the log that is due, and returns False if there is none."""
        log = self._take()
        if log is None:
            return False
        ended = log.ended  # read before the size of its file
        fault = ""
        try:
            self._copy(log, ended=ended)
            if ended:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(log.path)  # noqa: PTH108
        except (DataBuildError, OSError) as error:
            fault = str(error)
        with self._changed:
            self._copied(log, ended, fault)
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Copies the logs of ended job runs for a limited time, and stops. Files that are not copied stay."""
        end = time.monotonic() + _CLOSE_SECONDS
        with self._changed:
            while (left := end - time.monotonic()) > 0 and self._any_ended():
                if any(outage.failures >= _LAST_ATTEMPTS for outage in self._outages.values()):
                    break
                self._changed.wait(left)
            self._closed = True
            self._changed.notify_all()
        end = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))

    def _paths(self, job_run_id: str) -> Iterator[tuple[str, str]]:
        folder = self.folder(job_run_id.partition(".")[0])
        for stream in STREAMS:
            yield stream, f"{folder}/{job_run_id}.{stream}"

    def _files(self, build_request_id: str) -> Iterator[tuple[str, str, str]]:
        """Yields the job run, the stream and the path of each log file of a build."""
        folder = self.folder(build_request_id)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():  # noqa: PTH112, PTH208
            job_run_id, _, stream = name.rpartition(".")
            if stream in STREAMS and job_run_id.startswith(f"{build_request_id}."):
                yield job_run_id, stream, f"{folder}/{name}"

    def _add_left(self, log_store: str, job_run_id: str, stream: str, path: str) -> None:
        if path not in self._logs:
            self._add(_Log(log_store, job_run_id, stream, path, None, 0.0, ended=True), 0.0)

    def _add(self, log: _Log, due: float) -> None:
        self._logs[log.path] = log
        self._left[log.build] += 1
        self._put(log, due)

    def _remove(self, log: _Log) -> None:
        del self._logs[log.path]
        self._left[log.build] -= 1
        if not self._left[log.build]:
            del self._left[log.build]

    def _put(self, log: _Log, due: float) -> None:
        log.due = due
        self._number += 1
        heapq.heappush(self._queue, _Due(due, self._number, log))
        if len(self._threads) < min(self._max_threads, len(self._queue)):
            # A request to a store cannot be interrupted, and must not delay the end of the process.
            thread = threading.Thread(target=self._work, name=f"log-uploads-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._changed.notify()

    def _take(self) -> _Log | None:
        with self._changed:
            now = self._clock()
            while self._queue and self._queue[0].time <= now and not self._closed:
                due = heapq.heappop(self._queue)
                log = due.log
                if log.busy or log.due != due.time or self._logs.get(log.path) is not log:
                    continue  # it is copied already, or was put in again for another time
                outage = self._outages.get(log.log_store)
                if outage is not None:
                    if now < outage.until:
                        self._put(log, outage.until)
                        continue
                    outage.until = now + _pause(outage.failures)  # one thread is enough to try it
                log.busy = True
                return log
            return None

    def _copy(self, log: _Log, *, ended: bool) -> None:
        storage = self._storages.for_uri(log.log_store)
        if log.stored is None:
            pieces = pieces_among(storage.list(run_uri(log.log_store, log.job_run_id)), log.stream)
            log.stored, log.pieces = stored_bytes(pieces), len(pieces)
        if ended and log.pieces > MANY_PIECES:
            # A reader takes the longest pieces, so it does not need the many small ones.
            log.stored = 0
        while data := read_log(log.path, log.stored, MAX_PIECE_BYTES):
            end = log.stored + len(data)
            storage.write(piece_of(log.log_store, log.job_run_id, log.stream, log.stored, end).uri, data)
            log.stored = end
            log.pieces += 1

    def _copied(self, log: _Log, ended: bool, fault: str) -> None:
        log.busy = False
        now = self._clock()
        if fault:
            outage = self._outages.setdefault(log.log_store, _Outage())
            outage.failures += 1
            outage.fault = fault
            outage.until = now + _pause(outage.failures)
            self._put(log, outage.until)
            return
        if self._outages.pop(log.log_store, None) is not None:
            for other in list(self._logs.values()):
                if other.log_store == log.log_store:
                    self._put(other, now)
        if ended:
            self._remove(log)
        elif log.ended:
            self._put(log, 0.0)
        else:
            self._put(log, now + self._interval(log, now))

    def _interval(self, log: _Log, now: float) -> float:
        age = now - log.begun
        return min(max(age / _AGE_PER_SECOND, len(self._logs) / _LOGS_PER_SECOND, FIRST_SECONDS), MAX_SECONDS)

    def _work(self) -> None:
        while True:
            if self.copy_next():
                continue
            with self._changed:
                if self._closed:
                    return
                pause = self._queue[0].time - self._clock() if self._queue else None
                if pause is None or pause > 0:
                    self._changed.wait(pause)

    def _wait(self, log_store: str, build_request_id: str, seconds: float) -> bool:
        """Waits until the logs of a build are stored; returns False after a time or some failures."""
        now = time.monotonic()
        end, stalled = now + seconds, now + STALL_SECONDS
        with self._changed:
            failures = self._failures(log_store)
            while before := self._left[build_request_id]:
                left = min(end, stalled) - time.monotonic()
                if left <= 0 or self._closed or self._failures(log_store) - failures >= _LAST_ATTEMPTS:
                    return False
                self._changed.wait(left)
                if self._left[build_request_id] < before:
                    stalled = time.monotonic() + STALL_SECONDS
            return True

    def _any_ended(self) -> bool:
        return any(log.ended for log in self._logs.values())

    def _failures(self, log_store: str) -> int:
        outage = self._outages.get(log_store)
        return outage.failures if outage is not None else 0


def _pause(failures: int) -> float:
    """Returns the time in seconds before a store is tried again after a number of failures."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), MAX_PAUSE_SECONDS)) if failures else 0.0
