"""Shows a build while a backend runs it: its id, its progress, and the effect of signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from databuild.cli.display.output import Output
from databuild.cli.display.progress import TICK_SECONDS, progress_for
from databuild.user import user_name

if TYPE_CHECKING:
    from databuild.cli.display.live_progress import EarlierRuns

_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BuildDisplay:
    """Shows one build on standard error.

    Args:
        err: Standard error.
        environ: The environment variables, which name the terminal and the user.
        earlier_runs: Reads earlier job runs, for the time that is left.

    Attributes:
        progress: The progress display. Backends pass the events of the build to it.
    """

    def __init__(self, err: Output, environ: Mapping[str, str], earlier_runs: EarlierRuns | None = None) -> None:
        self.progress = progress_for(err, environ, earlier_runs)
        self._err = err
        self._environ = environ

    def announce(self, build_request_id: str, retry_of: str = "") -> None:
        """Prints the id of the build and starts the progress display."""
        self._err.line(f"databuild: build {build_request_id}")
        if retry_of:
            self._err.line(f"databuild: builds again what build {retry_of} was asked for")
        self._err.flush()
        self.progress.start()

    async def tick(self, poll: Callable[[], Awaitable[None]] | None = None) -> None:
        """Redraws the progress from time to time, until cancelled.

        Args:
            poll: Called before each redraw while the build plans, to update the progress; None for nothing.
        """
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if poll is not None and self.progress.counts.phase == "planning":
                await poll()
            self.progress.tick()

    def handle_signals(self, stop: Callable[[str], str], force_stop: Callable[[], str]) -> None:
        """Handles SIGINT, SIGTERM and SIGHUP, except those that are ignored, as under nohup.

        Args:
            stop: Called on the first signal with the name of its sender. Returns a line to print.
            force_stop: Called on every further signal. Returns a line to print, or nothing.
        """
        loop = asyncio.get_running_loop()
        stopping = False

        def interrupt(by: str) -> None:
            nonlocal stopping
            line = force_stop() if stopping else stop(by)
            stopping = True
            if line:
                self._err.line(f"databuild: {line}")
            self._err.flush()

        for number in _END_SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            by = user_name(self._environ) if number == signal.SIGINT else f"the signal {number.name}"
            loop.add_signal_handler(number, interrupt, by)
