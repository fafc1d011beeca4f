"""Faults of processes: the category and the message of a failure, from how the process ended."""

from __future__ import annotations

import signal
from typing import Final

from databuild.executors.executor import ProcessResult
from databuild.tuples import NamedTuple
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
"""Signals that a program causes itself; any other signal came from outside."""


_MAX_SHOWN_BYTES: Final = 4000


class ProcessFault(NamedTuple):
    """The failure of a process.

    Attributes:
        category: The cause of the failure.
        message: The predicate of a sentence about the process, such as `ended with exit code 1`.
        permanent: True if another attempt would fail in the same way.
    """

    category: pt.FailureCategory
    message: str
    permanent: bool = False


def process_fault(result: ProcessResult, timeout_seconds: float | None) -> ProcessFault | None:
    """Explains the end of a process; returns None for exit code 0.

    Args:
        result: The result of the process.
        timeout_seconds: Its timeout; None for no timeout.
    """
    if result.lost or result.refused:
        return _fault_of_engine(result)
    if result.start_fault is not None:
        fault = result.start_fault
        category = pt.FAILURE_CATEGORY_USER if fault.users_fault else pt.FAILURE_CATEGORY_INFRASTRUCTURE
        return ProcessFault(category, f"could not be started: {fault.message}", permanent=fault.users_fault)
    if result.timed_out:
        message = f"ran longer than its timeout of {timeout_seconds or 0:g} seconds{_unended(result)}"
        return ProcessFault(pt.FAILURE_CATEGORY_TIMEOUT, message)
    if result.worker_fault is not None:
        category = pt.FAILURE_CATEGORY_USER if result.worker_fault.users_fault else pt.FAILURE_CATEGORY_INFRASTRUCTURE
        return ProcessFault(category, result.worker_fault.message)
    return _fault_of_exit_code(result) if result.exit_code else None


def _fault_of_exit_code(result: ProcessResult) -> ProcessFault:
    # A job is often a shell script, which turns the signal of its last command into an exit code.
    by_shell = result.exit_code > _SHELL_OFFSET
    number = _signal_number(result.exit_code - _SHELL_OFFSET if by_shell else -result.exit_code)
    if number is None:
        return ProcessFault(pt.FAILURE_CATEGORY_USER, f"ended with exit code {result.exit_code}")
    signal_text = f"{_name(number)}{_cause(number, result.oom_kills)}"
    if by_shell:
        message = f"ended with exit code {result.exit_code}: a command in it was ended by {signal_text}"
    else:
        message = f"was ended by {signal_text}"
    category = pt.FAILURE_CATEGORY_USER if number in _CRASHES else pt.FAILURE_CATEGORY_INFRASTRUCTURE
    return ProcessFault(category, message)


def end_of_output(result: ProcessResult) -> str:
    """Returns the last part of a process's standard error or, if that is empty, of its standard output."""
    return (result.stderr.strip() or result.stdout.strip())[-_MAX_SHOWN_BYTES:].decode(errors="replace")


def _fault_of_engine(result: ProcessResult) -> ProcessFault:
    if result.lost:
        return ProcessFault(pt.FAILURE_CATEGORY_LOST, f"was lost: {result.lost}")
    return ProcessFault(pt.FAILURE_CATEGORY_USER, f"was refused: {result.refused}", permanent=True)


def _signal_number(number: int) -> int | None:
    return number if 0 < number < signal.NSIG else None


def _name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:  # the module names only the first and the last real-time signal
        return f"signal {number}"


def _cause(number: int, oom_kills: int) -> str:
    if number != signal.SIGKILL:
        return ""
    if oom_kills:
        processes = "a process" if oom_kills == 1 else f"{oom_kills} processes"
        return (
            f"; out of memory: the kernel killed {processes} meanwhile (oom_kill of the control group). Give the "
            "machine or container more memory, or run fewer jobs at once"
        )
    return "; the machine or container may have run out of memory"


def _unended(result: ProcessResult) -> str:
    if not result.unended:
        return ""
    return (
        f"; the processes {', '.join(map(str, result.unended))} wait in the kernel and could not be ended; they may "
        "still write"
    )
