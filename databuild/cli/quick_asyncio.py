"""asyncio without what few of its users need, which takes a third of the time of its import and start."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, TypeVar

from databuild.lazy_modules import load_on_first_use

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from types import FrameType
    from typing import Any

_T = TypeVar("_T")

_handled: set[int] = set()
"""The signals with handlers of this module."""

_wakeup: list[int] = []
"""The ends of a pipe by which signals wake the event loop, if `handle_signal` was called."""

_WAKEUP_BYTES = 4096
_TLS = "asyncio.sslproto"
_FOR_MESSAGES = ("inspect", "locale", "textwrap", "tokenize")


def import_asyncio() -> None:
    """Imports asyncio; the modules left out are loaded when something uses them, such as a connection with TLS."""
    for name in ("ssl", _TLS, *_FOR_MESSAGES):
        load_on_first_use(name)
    import asyncio

    vars(asyncio)["sslproto"] = sys.modules[_TLS]  # as an import of that module would do


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Runs a coroutine as `asyncio.run` does, on SIGINT as well: the first cancels its task, others raise.

    The handler of `asyncio.run` contains the task, and `signal` formats a handler whenever it is read or replaced: with
    the task, its result, and callbacks, which loads the module `inspect`. That takes 5 ms, and a second for the plan of
    100,000 partitions.

    Raises:
        KeyboardInterrupt: SIGINT ended the coroutine.
    """
    import asyncio
    import signal

    task: asyncio.Task[Any] | None = None
    interrupted = False

    async def run_main() -> _T:
        nonlocal task
        task = asyncio.current_task()
        return await main

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted or task is None or task.done():
            raise KeyboardInterrupt
        interrupted = True
        task.get_loop().call_soon_threadsafe(task.cancel)  # which wakes the loop

    in_main_thread = threading.current_thread() is threading.main_thread()  # which alone handles signals
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
        _handled.add(signal.SIGINT)
    try:
        return asyncio.run(run_main())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if _wakeup:
            signal.set_wakeup_fd(-1)
        while _wakeup:
            os.close(_wakeup.pop())
        while _handled:
            number = _handled.pop()
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def handle_signal(number: int, callback: Callable[[], None]) -> None:
    """Has a callback called in the running loop on a signal, until `run` ends.

    `loop.add_signal_handler` would load the module `inspect`.
    """
    import asyncio
    import signal

    loop = asyncio.get_running_loop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)

    if not _wakeup:
        # Without it, a signal right before the loop begins to wait would be seen at its next event.
        _wakeup.extend(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        loop.add_reader(_wakeup[0], os.read, _wakeup[0], _WAKEUP_BYTES)
        signal.set_wakeup_fd(_wakeup[1])
    signal.signal(number, on_signal)
    _handled.add(number)
