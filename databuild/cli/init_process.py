"""The duties of the first process of a container, for a command line that was started as that.

The kernel makes process 1 the parent of every orphan, which it has to wait for, and lets only signals reach it that it
handles (pid_namespaces(7)). The command line does its work in a child instead, as it would below an init program.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final

_NOT_FORWARDED: Final = frozenset(
    {
        signal.SIGCHLD,
        # The kernel sends these to a process for what it has done itself.
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
)


def work_in_a_child() -> None:
    """Returns in a child of process 1, which this process was; it waits for orphans and ends with the child.

    Call it before there are threads.
    """
    waited_for = {signal.SIGCHLD, *(signal.valid_signals() - _NOT_FORWARDED)} - {signal.SIGKILL, signal.SIGSTOP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    child = os.fork()
    if child == 0:
        _lead_the_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_serve(child, waited_for))


def _serve(child: int, waited_for: set[signal.Signals]) -> int:
    """Forwards signals to a child and waits for orphans until the child ends; returns the exit code."""
    while True:
        number = signal.sigwait(waited_for)
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    code = os.waitstatus_to_exitcode(ended[1])
                    return code if code >= 0 else 128 - code


def _lead_the_terminal() -> None:
    """Makes this process the one that a terminal sends its signals to, or else each would come twice."""
    os.setpgid(0, 0)
    with contextlib.suppress(OSError):  # standard input is no terminal, or not ours
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        os.tcsetpgrp(0, os.getpgrp())
