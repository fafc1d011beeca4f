"""Terminates process groups and finds their living members.

A zombie does not count as living. It stays in its group until its parent has waited for it, and some parents never do,
such as the first process of a container without an init.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from databuild.executors.executor import ENGINE_VARIABLE
from databuild.tuples import NamedTuple

KILL_SECONDS: Final = 30.0
"""The time to wait after KILL. Only a process that waits in the kernel, mostly for a file system, takes longer."""

_MIN_POLL_SECONDS: Final = 0.005
_MAX_POLL_SECONDS: Final = 0.1
_GRACE_CHECK_SECONDS: Final = 0.25
_OF_ENGINES: Final = f"{ENGINE_VARIABLE}=".encode()
_DEAD_STATES: Final = frozenset("ZXx")


class _Process(NamedTuple):
    pid: int
    state: str
    group: int


def living_members(group: int) -> Collection[int]:
    """Returns the processes of a group that have not ended, by their states in proc(5)."""
    try:
        os.killpg(group, 0)  # a cheap check that answers nearly every call without a scan of /proc
    except ProcessLookupError:
        return ()
    except PermissionError:
        pass  # there are members, of another user
    return [process.pid for process in _processes() if process.group == group and process.state not in _DEAD_STATES]


class GroupTermination:
    """Terminates one process group: TERM, a grace period, KILL, and a limited wait after that.

    Call `end_leader`, wait for the leader as its parent (a zombie leader would keep the group alive), then call
    `end_members`.
    """

    def __init__(
        self,
        group: int,
        *,
        grace_seconds: Callable[[], float],
        kill_seconds: float = KILL_SECONDS,
        living: Callable[[int], Collection[int]] = living_members,
    ) -> None:
        """Sends no signal yet.

        Args:
            group: The id of the group and of its leader, which is a child of this process.
            grace_seconds: Returns the time between TERM and KILL. It is called repeatedly, so the time may change.
            kill_seconds: The maximum time to wait after KILL.
            living: Returns the living members of a group.
        """
        self._group = group
        self._grace_seconds = grace_seconds
        self._kill_seconds = kill_seconds
        self._living = living
        self._started = time.monotonic()

    async def end_leader(self, ended: asyncio.Future[Any]) -> bool:
        """Terminates the leader, and returns True if it has ended.

        Args:
            ended: Done when the leader has ended.
        """
        _signal(self._group, signal.SIGTERM)
        while not ended.done() and (remaining := self._remaining_grace()) > 0:
            await asyncio.wait((ended,), timeout=min(remaining, _GRACE_CHECK_SECONDS))
        if not ended.done():
            _signal(self._group, signal.SIGKILL)
            await asyncio.wait((ended,), timeout=self._kill_seconds)
        return ended.done()

    async def end_members(self) -> Collection[int]:
        """Terminates the other members, and returns those that could not be ended; nearly always none."""
        intervals = _poll_intervals()
        while (members := self._living(self._group)) and self._remaining_grace() > 0:
            await asyncio.sleep(next(intervals))
        killed = time.monotonic()
        while members and time.monotonic() < killed + self._kill_seconds:
            _signal(self._group, signal.SIGKILL)  # repeated: a member may have forked before it got the signal
            await asyncio.sleep(next(intervals))
            members = self._living(self._group)
        return members

    def _remaining_grace(self) -> float:
        return self._started + self._grace_seconds() - time.monotonic()


async def kill_groups_with(
    *variables: bytes,
    kill_seconds: float = KILL_SECONDS,
    find: Callable[..., Collection[int]] | None = None,
) -> Collection[int]:
    """Kills all process groups, other than our own, that have a process with all of some variables in its environment.

    Args:
        *variables: The variables, each written `NAME=VALUE`.
        kill_seconds: The maximum time to wait for their end.
        find: Returns the groups, in a thread, since it scans all processes; None for `groups_with_variables`.

    Returns:
        The process groups that could not be ended; nearly always none.
    """
    started = time.monotonic()
    intervals = _poll_intervals()
    # Repeated: a process may fork between the scan and the signal.
    while groups := await asyncio.to_thread(find or groups_with_variables, *variables):
        for group in groups:
            _signal(group, signal.SIGKILL)
        if time.monotonic() >= started + kill_seconds:
            return groups
        await asyncio.sleep(next(intervals))
    return ()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _poll_intervals() -> Iterator[float]:
    interval = _MIN_POLL_SECONDS
    while True:
        yield interval
        interval = min(interval * 2, _MAX_POLL_SECONDS)


def _processes() -> Iterator[_Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            # The name of the program, in parentheses, may contain anything, also parentheses and spaces.
            state, _parent, group = file.read().rpartition(b") ")[2].split(maxsplit=3)[:3]
            yield _Process(int(name), state.decode(), int(group))


def groups_with_variables(*variables: bytes) -> set[int]:
    """Returns the process groups, other than our own, with a living process that has all variables in its environment.

    Processes that an engine has started on this machine do not count.
    """
    groups = set()
    for process in _processes():
        if process.state in _DEAD_STATES:
            continue
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/environ", "rb") as environ:  # noqa: PTH123
            present = environ.read().split(b"\0")
            if all(one in present for one in variables) and not any(one.startswith(_OF_ENGINES) for one in present):
                groups.add(process.group)
    return groups - {os.getpgrp()}
