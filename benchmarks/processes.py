"""Runs one process to its end and measures it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SHOWN = 2000


class BrokenRunError(Exception):
    """Something that is to be measured did not do what it should, so that its time would mean nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one run took.

    Attributes:
        seconds: By the clock on the wall.
        peak_memory_bytes: The most memory that the process held; 0 where there was no process to ask. Linux counts in
            what the process that started it held at that moment, so that it is never less than this benchmark's own.
        events: How many events it left in an event log.
    """

    seconds: float
    peak_memory_bytes: int = 0
    events: int = 0


def run_process(argv: Sequence[str], environment: Mapping[str, str], output: Path) -> Run:
    """Runs a process that must succeed.

    Args:
        argv: Its arguments; the first is its path.
        environment: Its environment variables.
        output: The file that it writes to, standard error included.

    Raises:
        BrokenRunError: It failed.
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
        said = output.read_text(errors="replace")[-_SHOWN:]
        raise BrokenRunError(f"{' '.join(argv)} ended with exit code {code}:\n{said}")
    return Run(seconds=seconds, peak_memory_bytes=usage.ru_maxrss * 1024)
