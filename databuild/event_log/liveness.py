"""Names processes that hold leases, and checks on the same machine if such a process still runs.

A name is never used twice: it has the boot id of the machine, the namespace of process ids, the process id and the
start time of the process (proc(5)). Processes of other machines cannot be checked; their leases must expire.
"""

from __future__ import annotations

import functools
import os
from typing import Protocol


class Liveness(Protocol):
    """Names this process as a holder of leases and tells which holders have died. This module implements it."""

    def this_process(self) -> str: ...

    def is_gone(self, holder: str, /) -> bool: ...

    def is_here(self, holder: str, /) -> bool: ...


def this_process() -> str:
    """Returns the name of this process as the holder of a lease."""
    return _name_of(os.getpid())


def is_gone(holder: str) -> bool:
    """Returns True if a holder has certainly ended; False if it runs or cannot be checked."""
    machine, _, process = holder.partition("/")
    pid, _, started = process.partition("/")
    # The start time tells whether another process has the same id by now.
    return holder != this_process() and machine == _machine() and pid.isdigit() and start_time(int(pid)) != started


def is_here(holder: str) -> bool:
    """Returns True if a holder is or was a process of this machine, so that its child processes can be found."""
    return holder.partition("/")[0] == _machine()


def _machine() -> str:
    """Returns an id that exactly those processes share that see each other's process ids."""
    return _machine_of(os.getpid())


# Both are cached by the process id, which is another one after a fork.
@functools.lru_cache(1)
def _name_of(pid: int) -> str:
    return f"{_machine_of(pid)}/{pid}/{start_time(pid)}"


@functools.lru_cache(1)
def _machine_of(pid: int) -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:  # noqa: PTH123
            boot = file.read().strip()
        return f"{boot}-{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:
        return f"unknown-{os.uname().nodename}-{pid}"


def start_time(pid: int) -> str:
    """Returns the start time of a process in clock ticks since boot; empty if it does not exist or is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            # The name of the program, in parentheses, may contain anything; the fields are those after it.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]
