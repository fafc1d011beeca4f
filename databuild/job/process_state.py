"""The state of a worker process that a request must not leave to the next one."""

from __future__ import annotations

import os
import signal
import sys

from databuild.job.files import remove_unfinished

try:
    # Without the conversion to enums, which would take most of the time.
    from _signal import getsignal as _handler_of  # type: ignore[import-not-found]
except ImportError:  # pragma: no cover - another Python than CPython
    from signal import getsignal as _handler_of

_SIGNALS = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class ProcessState:
    """The state of this process before its first request, as far as a function may change it.

    These are the working directory, the environment, the umask, signal handlers, the signal mask, timers, the streams
    of `sys`, and files that `writing` has not finished.

    Attributes:
        variables: The environment, which must not be changed.
    """

    def __init__(self) -> None:
        """Remembers the state, and keeps a descriptor of the working directory open until the process ends."""
        self._folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.variables = dict(os.environ)
        self._environ = _environ()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._handlers = [_handler_of(number) for number in _SIGNALS]
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = sys.stdin, sys.stdout, sys.stderr

    def restore(self) -> None:
        """Restores the state. It costs a few microseconds if nothing has changed."""
        sys.stdin, sys.stdout, sys.stderr = self._streams
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        if [_handler_of(number) for number in _SIGNALS] != self._handlers:
            for number, handler in zip(_SIGNALS, self._handlers, strict=True):
                # None stands for a handler that is not of Python and cannot be installed again from it.
                if handler is not None and _handler_of(number) != handler:
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        os.umask(self._umask)
        os.fchdir(self._folder)
        self._restore_environ()
        remove_unfinished()

    def _restore_environ(self) -> None:
        current, before = _environ(), self._environ
        if current == before:
            return
        for name in current.keys() - before.keys():
            del os.environb[name]
        for name, value in before.items():
            if current.get(name) != value:
                os.environb[name] = value


def _environ() -> dict[bytes, bytes]:
    """Returns a copy of the environment.

    CPython has it in a dict, which is copied in a fiftieth of the time that the mapping `os.environb` takes.
    """
    variables = getattr(os.environb, "_data", None)
    return variables.copy() if isinstance(variables, dict) else dict(os.environb)
