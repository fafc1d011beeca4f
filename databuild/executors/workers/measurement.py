"""Measures one request of a worker: its processor time and its peak memory, from outside of the process (proc(5))."""

from __future__ import annotations

import os
import time
from typing import Final

from databuild.tuples import NamedTuple

_TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")
_MAX_BYTES: Final = 4096
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
            descriptor = os.open(f"/proc/{self._pid}/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return  # then the peak is that of the process so far
        try:
            os.write(descriptor, _RESET_PEAK)
        finally:
            os.close(descriptor)

    def end(self) -> Usage:
        """Returns the usage since the start; zeros if the process has ended."""
        return Usage(max(self._cpu_time() - self._cpu_seconds, 0.0), *self._memory())

    def until(self, cpu_seconds: float, peak_memory_bytes: int) -> Usage:
        """Returns the usage since the start, from that of the whole process, which has ended."""
        return Usage(max(cpu_seconds - self._cpu_seconds, 0.0), peak_memory_bytes, 0)

    def _cpu_time(self) -> float:
        try:
            fields = read_proc(f"/proc/{self._pid}/stat").rpartition(b") ")[2].split(maxsplit=15)
            return time.clock_gettime(self._clock) + (int(fields[13]) + int(fields[14])) * _TICK_SECONDS
        except OSError:
            return 0.0

    def _memory(self) -> tuple[int, int]:
        """Returns the peak and the current size of the resident memory in bytes."""
        try:
            status = read_proc(f"/proc/{self._pid}/status")
        except OSError:
            return 0, 0
        return _kibibytes(status, b"\nVmHWM:") * 1024, _kibibytes(status, b"\nVmRSS:") * 1024


def read_proc(path: str) -> bytes:
    """Returns the first 4 KiB of a file below /proc, at a third of the cost of a file object.

    Raises:
        OSError: The file cannot be read, such as that of a process that has ended.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)


def _kibibytes(status: bytes, name: bytes) -> int:
    rest = status.partition(name)[2]
    return int(rest.split(maxsplit=1)[0]) if rest else 0
