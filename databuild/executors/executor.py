"""What an executor offers: running one process of a job, wherever that is.

It knows processes, files and signals; it does not know partitions, plans or events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from databuild.executors.start_faults import StartFault


class Capacity(NamedTuple):
    """How many processes an executor can run at once.

    Attributes:
        processes: How many; further ones wait.
        reason: What limits them, in words.
    """

    processes: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSpec:
    """One process to run.

    Attributes:
        argv: The command line; `argv[0]` is the path of the executable.
        env: Environment variables over those of the executor's base environment.
        cwd: The working directory.
        stdout: The file that standard output is appended to, made with its first byte; empty to keep it in the result.
        stderr: The same for standard error.
        report: The file that the process may append report lines to; empty for none.
        timeout_seconds: How long it may run; None for as long as it likes.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    stdout: str = ""
    stderr: str = ""
    report: str = ""
    timeout_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessResult:
    """How a process ended.

    Attributes:
        exit_code: Its exit code; minus the signal's number where a signal ended it.
        timed_out: Whether it was ended because it ran too long.
        duration_seconds: How long it ran.
        cpu_seconds: The processor time that it and its waited-for children used.
        peak_memory_bytes: The most memory that one of them held.
        start_fault: Why it could not be started; None where it was.
        oom_kills: How many processes the kernel killed for want of memory while it ran, among its own and those of the
            same control group; counted only where it was ended by KILL.
        unended: Processes of its group that could not be ended, and may still write.
        stdout: What it wrote to standard output, where that was not to go to a file: the last of it, up to a limit.
        stderr: The same for standard error.
    """

    exit_code: int
    timed_out: bool = False
    duration_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    start_fault: StartFault | None = None
    oom_kills: int = 0
    unended: Sequence[int] = ()
    stdout: bytes = b""
    stderr: bytes = b""


class Executor(Protocol):
    """Runs processes, each in a process group of its own."""

    @property
    def capacity(self) -> Capacity:
        """How many processes can run at once."""
        ...

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        """Returns why a command line can never be started, such as its size; empty where it may be.

        Args:
            argv: The command line.
            env: Variables over those of the executor's base environment.
        """
        ...

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end.

        When it runs too long, or the awaiting task is cancelled, the whole process group is asked to end (TERM),
        given a grace period, ended (KILL), and gone before this returns or raises. A process that waits in the kernel
        and cannot be ended is given up after a while, and named in the result.

        Args:
            spec: What to run.
            on_report: Called with each line that the process appends to its report file, soon after it does; all lines
                have been handed over when this returns.

        Raises:
            asyncio.CancelledError: The awaiting task was cancelled; the process group is gone.
        """
        ...

    def guarded(self, build_request_id: str) -> AbstractContextManager[None]:
        """Returns a context in which no process of a build outlives this process, even where that is killed."""
        ...

    async def end_left_behind(self, build_request_id: str) -> None:
        """Ends what processes of a build are still running, whose orchestrator has died; returns when they are gone.

        Raises:
            ProcessesLeftError: They cannot be ended.
        """
        ...
