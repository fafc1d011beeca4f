"""Processes: runs one to its end and measures it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAX_SHOWN_CHARACTERS = 2000


class BrokenRunError(Exception):
    """A contestant did not do its work, so that its time is meaningless."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Measurements of one run.

    Attributes:
        seconds: The wall time.
        peak_memory_bytes: The peak resident memory of the process; 0 if there was no process. Linux includes the
            memory of the parent at the time of the fork, so the value is never below that of this benchmark.
        cpu_seconds: The processor time of the process and its children; 0 if there was no process.
        events: The number of events that the run has written.
    """

    seconds: float
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    events: int = 0


def run_process(argv: Sequence[str], environment: Mapping[str, str], output: Path) -> Run:
    """Runs a process that must succeed.

    Args:
        argv: The arguments; the first is the path of the executable.
        environment: The environment variables.
        output: The file for standard output and standard error.

    Raises:
        BrokenRunError: The process failed.
    """
    actions = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    )
    started = time.perf_counter()
    pid = os.posix_spawn(argv[0], tuple(argv), environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    if code:
        shown = output.read_text(errors="replace")[-_MAX_SHOWN_CHARACTERS:]
        raise BrokenRunError(f"{' '.join(argv)} ended with exit code {code}:\n{shown}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Run(seconds=seconds, cpu_seconds=cpu_seconds, peak_memory_bytes=usage.ru_maxrss * 1024)
