"""The interface of an executor, which runs processes of jobs on some machine.

It knows processes, files and signals; it does not know partitions, plans or events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from databuild.executors.start_faults import StartFault


class Capacity(NamedTuple):
    """The number of processes that an executor can run at once.

    Attributes:
        processes: The number; further processes wait.
        reason: The limit that decides it, in words.
    """

    processes: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSpec:
    """One process to run.

    Attributes:
        argv: The command line; `argv[0]` is the path of the executable.
        env: Environment variables; they override the executor's base environment.
        cwd: The working directory.
        stdout: The file that standard output is appended to, created at its first byte; empty to return the output in
            the result.
        stderr: The same for standard error.
        report: The file to which the process may append report lines; empty for none.
        timeout_seconds: The maximum run time; None for no limit.
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
    """The end of a process.

    Attributes:
        exit_code: The exit code; the negative signal number if a signal ended the process.
        timed_out: True if the process was ended because it exceeded its timeout.
        duration_seconds: The run time.
        cpu_seconds: The processor time of the process and of the children that it waited for.
        peak_memory_bytes: The peak resident memory of the largest of these processes.
        start_fault: The reason why the process could not be started; None if it was started.
        oom_kills: The number of processes in the control group that the kernel killed for lack of memory during the
            run; 0 unless the process was ended by KILL.
        unended: Processes of its group that could not be ended and may still write.
        stdout: The end of standard output, up to a limit, if the spec names no file for it.
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
        """The number of processes that can run at once."""
        ...

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        """Returns the reason why a command line can never be started, such as its size; empty if there is none.

        Args:
            argv: The command line.
            env: Environment variables; they override the executor's base environment.
        """
        ...

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end.

        If the process exceeds its timeout, or the awaiting task is cancelled, the whole process group gets TERM, a
        grace period and KILL, and has ended when this returns or raises. A process that cannot be ended, because it
        waits in the kernel, is given up after a limit and named in the result.

        Args:
            spec: The process.
            on_report: Called with each line of the report file, at most a fraction of a second after it was written.
                It has been called with every line when this returns.

        Raises:
            asyncio.CancelledError: The awaiting task was cancelled; the process group has ended.
        """
        ...

    def guarded(self, build_request_id: str) -> AbstractContextManager[None]:
        """Returns a context in which no process of a build outlives this process, even if this process is killed."""
        ...

    async def kill_orphans(self, build_request_id: str) -> None:
        """Kills the processes of a build whose orchestrator has died, and returns when they have ended.

        Raises:
            ProcessesLeftError: Some of them cannot be ended.
        """
        ...
