"""The duties of an init process, for a command line that is process 1 of a container.

The kernel makes process 1 the parent of every orphan, for which it has to wait, and delivers only signals that it
handles (pid_namespaces(7)). So process 1 does only this, and a child runs the command line.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final

_NOT_FORWARDED: Final = frozenset(
    {
        signal.SIGCHLD,
        # The kernel sends these to a process because of its own actions.
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
    """Forks, and returns in the child. Process 1 itself forwards signals, waits for orphans and exits with the child.

    Call it before any thread is started.
    """
    awaited = {signal.SIGCHLD, *(signal.valid_signals() - _NOT_FORWARDED)} - {signal.SIGKILL, signal.SIGSTOP}
    # Block before the fork: a signal that arrives in between stays pending instead of getting lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if child == 0:
        _lead_the_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_supervise(child, awaited))


def _supervise(child: int, awaited: set[signal.Signals]) -> int:
    """Forwards signals to a child and waits for orphans until the child ends; returns the exit code."""
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        with contextlib.suppress(ChildProcessError):
            # One SIGCHLD may stand for several children that have ended.
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    code = os.waitstatus_to_exitcode(ended[1])
                    return code if code >= 0 else 128 - code  # as a shell reports the death by a signal


def _lead_the_terminal() -> None:
    """Makes this process the foreground process group of the terminal.

    Otherwise Ctrl-C would reach it twice: from the terminal, and forwarded by process 1.
    """
    os.setpgid(0, 0)
    with contextlib.suppress(OSError):  # standard input is not a terminal, or one of another session
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        os.tcsetpgrp(0, os.getpgrp())
