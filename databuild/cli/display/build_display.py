"""The display of one build while a backend runs it: its id, its progress, and the effect of signals."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from databuild.cli import quick_asyncio
from databuild.cli.display.output import Output
from databuild.cli.display.progress import TICK_SECONDS, progress_for
from databuild.user import user_name

if TYPE_CHECKING:
    from databuild.cli.display.live_progress import EarlierRuns

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BuildDisplay:
    """Shows one build on standard error.

    Args:
        err: Standard error.
        environ: The environment variables, of which those that name the terminal and the user are read.
        earlier_runs: Reads earlier job runs, for the estimate of the remaining time.
        print_first: Prints what stands before the id of the build, which it gets.

    Attributes:
        progress: The progress display, to which the backend passes the events of the build.
    """

    def __init__(
        self,
        err: Output,
        environ: Mapping[str, str],
        earlier_runs: EarlierRuns | None,
        print_first: Callable[[str], None],
    ) -> None:
        self.progress = progress_for(err, environ, earlier_runs)
        self._print_first = print_first
        self._err = err
        self._environ = environ

    def announce(self, build_request_id: str, retry_of: str = "") -> None:
        """Prints the id of the build and starts the progress display."""
        self._print_first(build_request_id)
        self._err.line(f"databuild: build {build_request_id}")
        if retry_of:
            self._err.line(f"databuild: retry of build {retry_of}")
        self._err.flush()
        self.progress.start()

    async def tick(self, poll: Callable[[], Awaitable[None]] | None = None) -> None:
        """Updates the progress every TICK_SECONDS, until cancelled.

        Args:
            poll: Called before each update while the build plans, since planning writes no events; None for nothing.
        """
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if poll is not None and self.progress.counts.phase == "planning":
                await poll()
            self.progress.tick()

    def handle_signals(self, stop: Callable[[str], str], force_stop: Callable[[], str]) -> None:
        """Handles SIGINT, SIGTERM and SIGHUP.

        Args:
            stop: Called on the first signal with the user, for SIGINT, or the name of the signal. Returns a line to
                print.
            force_stop: Called on every further signal. Returns a line to print; empty for none.
        """
        stopping = False

        def on_signal(author: str) -> None:
            nonlocal stopping
            line = force_stop() if stopping else stop(author)
            stopping = True
            if line:
                self._err.line(f"databuild: {line}")
            self._err.flush()

        for number in _STOP_SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:  # nohup starts programs with SIGHUP ignored
                continue
            author = user_name(self._environ) if number == signal.SIGINT else f"the signal {number.name}"
            quick_asyncio.handle_signal(number, functools.partial(on_signal, author))
