"""Explains the ends of processes: category and message of a failure."""

from __future__ import annotations

import signal
from typing import Final, NamedTuple

from databuild.executors.executor import ProcessResult
from databuild.v1 import partition_pb2 as pt

_SHELL_OFFSET: Final = 128
"""A shell reports that a signal N ended its last command as exit code 128 + N (POSIX.1-2017, 2.8.2)."""

_CRASHES: Final = frozenset(
    {
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGPIPE,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)
"""Signals that a program brings on itself."""


_SHOWN_BYTES: Final = 4000


class ProcessFault(NamedTuple):
    """The failure of a process.

    Attributes:
        category: Whose fault it is.
        message: What happened, as what follows the name of the process.
        final: Whether it would happen again in the same way, so that to try again is useless.
    """

    category: pt.FailureCategory
    message: str
    final: bool = False


def fault_of(result: ProcessResult, timeout_seconds: float | None) -> ProcessFault | None:
    """Returns why a process failed; None where it ended with exit code 0.

    Args:
        result: How the process ended.
        timeout_seconds: How long it was allowed to run; None for as long as it liked.
    """
    if result.start_fault is not None:
        fault = result.start_fault
        category = pt.FAILURE_CATEGORY_USER if fault.users_fault else pt.FAILURE_CATEGORY_INFRASTRUCTURE
        return ProcessFault(category, f"could not be started: {fault.message}", final=fault.users_fault)
    if result.timed_out:
        message = f"ran longer than its timeout of {timeout_seconds or 0:g} seconds{_unended(result)}"
        return ProcessFault(pt.FAILURE_CATEGORY_TIMEOUT, message)
    if result.exit_code == 0:
        return None
    by_shell = result.exit_code > _SHELL_OFFSET
    number = _signal_number(result.exit_code - _SHELL_OFFSET if by_shell else -result.exit_code)
    if number is None:
        return ProcessFault(pt.FAILURE_CATEGORY_USER, f"ended with exit code {result.exit_code}")
    named = f"{_name(number)}{_why(number, result.oom_kills)}"
    if by_shell:
        message = f"ended with exit code {result.exit_code}: a command in it was ended by {named}"
    else:
        message = f"was ended by {named}"
    category = pt.FAILURE_CATEGORY_USER if number in _CRASHES else pt.FAILURE_CATEGORY_INFRASTRUCTURE
    return ProcessFault(category, message)


def end_of_output(result: ProcessResult) -> str:
    """Returns the end of what a process wrote to its standard error or, where that is empty, its standard output."""
    return (result.stderr.strip() or result.stdout.strip())[-_SHOWN_BYTES:].decode(errors="replace")


def _signal_number(number: int) -> int | None:
    return number if 0 < number < signal.NSIG else None


def _name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal between the named ones
        return f"signal {number}"


def _why(number: int, oom_kills: int) -> str:
    if number != signal.SIGKILL:
        return ""
    if oom_kills:
        processes = "a process" if oom_kills == 1 else f"{oom_kills} processes"
        return (
            f"; out of memory: the kernel killed {processes} for it meanwhile (oom_kill of the control group). Give "
            "the machine or container more memory, or run fewer jobs at once"
        )
    return "; the machine or container may have run out of memory"


def _unended(result: ProcessResult) -> str:
    if not result.unended:
        return ""
    return (
        f"; the processes {', '.join(map(str, result.unended))} wait in the kernel and could not be ended: they may "
        "still write"
    )
