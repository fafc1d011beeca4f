"""Whether the process that holds a lease is still there, where that can be told at once.

A holder is named by what no other process ever shares: the boot of the machine, the namespace of process ids, the
process id and its start time (proc(5)). Of a process elsewhere nothing can be told, and its lease has to run out.
"""

from __future__ import annotations

import os


def this_process() -> str:
    """Returns the name of this process as the holder of a lease."""
    return f"{_here()}/{os.getpid()}/{start_time(os.getpid())}"


def is_gone(holder: str) -> bool:
    """Whether a holder is known to be gone; False where it lives, and where nothing can be told."""
    place, _, process = holder.partition("/")
    pid, _, started = process.partition("/")
    return place == _here() and pid.isdigit() and start_time(int(pid)) != started


def is_here(holder: str) -> bool:
    """Whether a holder is or was a process of this machine, so that its child processes can be found."""
    return holder.partition("/")[0] == _here()


def _here() -> str:
    """Returns what is the same for all processes that see each other's ids, and for no others."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            boot = file.read().strip()
        return f"{boot}-{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:
        return f"unknown-{os.uname().nodename}-{os.getpid()}"


def start_time(pid: int) -> str:
    """Returns when a process started, in ticks since boot; empty where there is none, or none that still runs."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]
