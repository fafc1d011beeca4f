"""Processes that a request leaves running: found by their ids, and ended.

A process that outlives its request could still write to outputs that are recorded as complete, and its text would be
taken for that of the next request. Process ids are given out in ascending order, so that the processes of a request
have ids above the last one before it. A scan of all processes is needed only when the ids have begun again, or where
the kernel does not say which id was the last (proc_sys_kernel(5), `ns_last_pid`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable
from typing import Final

_LAST_PID: Final = "/proc/sys/kernel/ns_last_pid"
_DEAD_STATES: Final = frozenset("ZXx")
_MIN_POLL_SECONDS: Final = 0.0005
_MAX_POLL_SECONDS: Final = 0.05


class Leftovers:
    """The processes of one worker, apart from itself."""

    def __init__(self, worker: int, variable: str, *, kill_seconds: float) -> None:
        """Finds nothing yet.

        Args:
            worker: The process id of the worker, which leads its process group.
            variable: An environment variable that only its descendants have, written `NAME=VALUE`.
            kill_seconds: The maximum time to wait after KILL.
        """
        self._worker = worker
        self._variable = variable.encode()
        self._kill_seconds = kill_seconds
        self._kept: frozenset[int] = frozenset()
        self._last_pid = worker

    def keep(self) -> None:
        """Keeps the processes that run now as long as the worker: those that it started before its first request."""
        self._kept = frozenset(self._find(last_pid()))
        self.mark()

    def mark(self) -> None:
        """Marks the start of a request."""
        self._last_pid = last_pid()

    async def end(self) -> bool:
        """Kills the processes that were started since the mark; returns False if some could not be ended."""
        newest = last_pid()
        if newest == self._last_pid and newest:
            return True
        started, pause = 0.0, _MIN_POLL_SECONDS
        # Repeated: a process may have forked before it got the signal.
        while left := [pid for pid in self._find(newest) if pid not in self._kept]:
            started = started or time.monotonic()
            if time.monotonic() > started + self._kill_seconds:
                return False
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_POLL_SECONDS)
            newest = last_pid()
        return True

    def _find(self, newest: int) -> list[int]:
        """Returns the living processes of the worker that have ids after the mark and up to another id."""
        return [pid for pid in self._candidates(newest) if self._is_of_worker(pid)]

    def _candidates(self, newest: int) -> Iterable[int]:
        if self._last_pid and newest >= self._last_pid:
            return range(self._last_pid + 1, newest + 1)
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208

    def _is_of_worker(self, pid: int) -> bool:
        if pid == self._worker:
            return False
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                state, _, group = file.read().rpartition(b") ")[2].split(maxsplit=3)[:3]
            if state.decode() in _DEAD_STATES:
                return False
            if int(group) != self._worker:
                with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
                    if self._variable not in file.read().split(b"\0"):
                        return False
            # Threads have ids as well, and files in /proc that are not listed.
            with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123
                return b"\nTgid:\t%d\n" % pid in file.read()
        except OSError:
            return False


def last_pid() -> int:
    """Returns the last process id that was given out in the namespace of this process; 0 if it is unknown."""
    try:
        with open(_LAST_PID, "rb", buffering=0) as file:  # noqa: PTH123
            return int(file.read(32))
    except (OSError, ValueError):
        return 0
