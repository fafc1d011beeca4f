"""The end of a process: its exit code and its resource usage, and the termination of its group."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Final

from databuild.executors.process_group import GroupTermination
from databuild.tuples import NamedTuple


class ProcessEnd(NamedTuple):
    """The exit code and resource usage of a process that has ended.

    Attributes:
        exit_code: The exit code; the negative signal number if a signal ended it.
        cpu_seconds: The processor time of the process and of the children that it waited for.
        peak_memory_bytes: The peak resident memory of the largest of these processes.
        unended: Processes of its group that could not be ended.
    """

    exit_code: int
    cpu_seconds: float
    peak_memory_bytes: int
    unended: Sequence[int] = ()


UNENDED: Final = ProcessEnd(-signal.SIGKILL, 0.0, 0)
"""The end of a process that could not be ended."""


def reap(pid: int) -> ProcessEnd:
    """Waits for a child process that has ended."""
    # wait4 returns the usage of this process and of its waited-for children; getrusage(2) would add up all processes.
    _, status, usage = os.wait4(pid, 0)
    max_memory = usage.ru_maxrss * 1024  # in KiB on Linux
    return ProcessEnd(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, max_memory)


async def end_group(pid: int, ended: asyncio.Future[None], grace_seconds: Callable[[], float]) -> ProcessEnd:
    """Ends the process group of a child process: TERM, a grace period, KILL.

    Args:
        pid: The child process, which leads the group.
        ended: Done when the child process has ended.
        grace_seconds: Returns the grace period, which may change meanwhile.
    """
    group = GroupTermination(pid, grace_seconds=grace_seconds)
    if not await group.end_leader(ended):
        return UNENDED._replace(unended=(pid,))
    end = reap(pid)
    return end._replace(unended=tuple(await group.end_members()))
