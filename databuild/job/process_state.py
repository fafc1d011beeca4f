"""The state of a worker process that a request must not leave to the next one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from databuild.job.files import remove_unfinished

_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


@contextmanager
def restored() -> Iterator[None]:
    """Restores, at the end of the context, what a function may have changed in this process.

    These are the working directory, the environment, the umask, signal handlers, the signal mask, timers, the streams
    of `sys`, and files that `writing` has not finished.
    """
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    environ = dict(os.environ)
    umask = os.umask(0o077)
    os.umask(umask)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    streams = sys.stdin, sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        for number, handler in handlers.items():
            # None stands for a handler that is not of Python and cannot be installed again from it.
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.umask(umask)
        os.fchdir(folder)
        os.close(folder)
        if dict(os.environ) != environ:
            os.environ.clear()
            os.environ.update(environ)
        remove_unfinished()
