"""Ends process groups, and finds which of their members still live.

A zombie is not a living member: it stays in its group until its parent has waited for it, and a parent that never does,
such as the first process of a container without an init, is not ours to correct.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

KILL_SECONDS: Final = 30.0
"""How long to wait after KILL: only a process that waits in the kernel, mostly for a file system, takes longer."""

_FIRST_POLL_SECONDS: Final = 0.005
_LAST_POLL_SECONDS: Final = 0.1
_WATCH_SECONDS: Final = 0.25
_DEAD_STATES: Final = frozenset("ZXx")


class _Process(NamedTuple):
    pid: int
    state: str
    group: int


def living_members(group: int) -> Collection[int]:
    """Returns the processes of a group that have not ended, by their state in proc(5)."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return ()
    except PermissionError:
        pass  # there are some, of another user
    return [process.pid for process in _processes() if process.group == group and process.state not in _DEAD_STATES]


class EndingGroup:
    """Ends one process group: TERM, a grace period, KILL, and a limit to the waiting after that.

    Call `end_leader`, wait for the leader as its parent, then call `end_members`: only then does an empty group vanish.
    """

    def __init__(
        self,
        group: int,
        *,
        grace_seconds: Callable[[], float],
        kill_seconds: float = KILL_SECONDS,
        living: Callable[[int], Collection[int]] = living_members,
    ) -> None:
        """Does nothing yet.

        Args:
            group: The id of the group and of the process that leads it, a child of this process.
            grace_seconds: Returns how long the group may take after TERM; asked repeatedly, it may become shorter.
            kill_seconds: How long to wait after KILL.
            living: Finds living members.
        """
        self._group = group
        self._grace_seconds = grace_seconds
        self._kill_seconds = kill_seconds
        self._living = living
        self._started = time.monotonic()

    async def end_leader(self, ended: asyncio.Future[None]) -> bool:
        """Ends the leader, and returns whether it has ended.

        Args:
            ended: Done when the leader has ended.
        """
        _signal(self._group, signal.SIGTERM)
        while not ended.done() and (left := self._grace_left()) > 0:
            await asyncio.wait((ended,), timeout=min(left, _WATCH_SECONDS))
        if not ended.done():
            _signal(self._group, signal.SIGKILL)
            await asyncio.wait((ended,), timeout=self._kill_seconds)
        return ended.done()

    async def end_members(self) -> Collection[int]:
        """Ends what is left of the group, and returns the processes that live on; nearly always none."""
        pauses = _pauses()
        while (left := self._living(self._group)) and self._grace_left() > 0:
            await asyncio.sleep(next(pauses))
        killed = time.monotonic()
        while left and time.monotonic() < killed + self._kill_seconds:
            _signal(self._group, signal.SIGKILL)  # repeated: a member may have started another meanwhile
            await asyncio.sleep(next(pauses))
            left = self._living(self._group)
        return left

    def _grace_left(self) -> float:
        return self._started + self._grace_seconds() - time.monotonic()


async def end_marked(
    variable: bytes,
    *,
    kill_seconds: float = KILL_SECONDS,
    find: Callable[[bytes], Collection[int]] | None = None,
) -> Collection[int]:
    """Ends all process groups that have a process with a variable in its environment, other than our own.

    Args:
        variable: The variable, written `NAME=VALUE`.
        kill_seconds: How long to wait for them.
        find: Finds the groups, in a thread; None for `groups_with`.

    Returns:
        The process groups that live on after that; nearly always none.
    """
    started = time.monotonic()
    pauses = _pauses()
    while groups := await asyncio.to_thread(find or groups_with, variable):
        for group in groups:
            _signal(group, signal.SIGKILL)
        if time.monotonic() >= started + kill_seconds:
            return groups
        await asyncio.sleep(next(pauses))
    return ()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _pauses() -> Iterator[float]:
    pause = _FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 2, _LAST_POLL_SECONDS)


def _processes() -> Iterator[_Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            # The name in parentheses may hold anything.
            state, _parent, group = file.read().rpartition(b") ")[2].split(maxsplit=3)[:3]
            yield _Process(int(name), state.decode(), int(group))


def groups_with(variable: bytes) -> set[int]:
    """Returns the process groups, other than our own, that have a living process with a variable in its environment."""
    groups = set()
    for process in _processes():
        if process.state in _DEAD_STATES:
            continue
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/environ", "rb") as environ:  # noqa: PTH123
            if variable in environ.read().split(b"\0"):
                groups.add(process.group)
    return groups - {os.getpgrp()}
