"""Measures one request of a worker: its processor time and its peak memory, from outside of the process (proc(5))."""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

_TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")
_RESET_PEAK: Final = b"5"
"""Sets the peak of the resident memory to its current size (proc_pid_clear_refs(5))."""


class Usage(NamedTuple):
    """The resources of one request.

    Attributes:
        cpu_seconds: The processor time of the worker and of the children that it waited for.
        peak_memory_bytes: The peak resident memory of the worker.
        memory_bytes: Its resident memory at the end.
    """

    cpu_seconds: float
    peak_memory_bytes: int
    memory_bytes: int


class Measurement:
    """Measures the requests of a worker. The first one includes the start of the process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # The clock of another process: bits 0 to 2 are CPUCLOCK_SCHED, the rest is the inverted id
        # (clock_getcpuclockid(3)). It has nanoseconds; stat has ticks.
        self._clock = ~pid << 3 | 2
        self._cpu_seconds = 0.0

    def start(self) -> None:
        """Starts the measurement of a request after the first."""
        self._cpu_seconds = self._cpu_time()
        try:
            with open(f"/proc/{self._pid}/clear_refs", "wb", buffering=0) as file:  # noqa: PTH123
                file.write(_RESET_PEAK)
        except OSError:
            pass  # then the peak is that of the process so far

    def end(self) -> Usage:
        """Returns the usage since the start; zeros if the process has ended."""
        return Usage(max(self._cpu_time() - self._cpu_seconds, 0.0), *self._memory())

    def until(self, cpu_seconds: float, peak_memory_bytes: int) -> Usage:
        """Returns the usage since the start, from that of the whole process, which has ended."""
        return Usage(max(cpu_seconds - self._cpu_seconds, 0.0), peak_memory_bytes, 0)

    def _cpu_time(self) -> float:
        try:
            with open(f"/proc/{self._pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123
                fields = file.read(1024).rpartition(b") ")[2].split(maxsplit=15)
            return time.clock_gettime(self._clock) + (int(fields[13]) + int(fields[14])) * _TICK_SECONDS
        except OSError:
            return 0.0

    def _memory(self) -> tuple[int, int]:
        """Returns the peak and the current size of the resident memory in bytes."""
        try:
            with open(f"/proc/{self._pid}/status", "rb", buffering=0) as file:  # noqa: PTH123
                status = file.read(4096)
        except OSError:
            return 0, 0
        return _kibibytes(status, b"\nVmHWM:") * 1024, _kibibytes(status, b"\nVmRSS:") * 1024


def _kibibytes(status: bytes, name: bytes) -> int:
    rest = status.partition(name)[2]
    return int(rest.split(maxsplit=1)[0]) if rest else 0
