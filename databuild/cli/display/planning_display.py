"""The display of one plan while this process makes it: warnings at once, and the progress of a plan that takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from databuild.cli.display.output import Output
from databuild.cli.display.progress import TICK_SECONDS, Progress, progress_for
from databuild.model.planning import PlanningProgress


class PlanningDisplay:
    """Shows the progress of planning if it takes longer than TICK_SECONDS, which most plans do not."""

    def __init__(self, err: Output, environ: Mapping[str, str]) -> None:
        self._err = err
        self._environ = environ
        self._latest = PlanningProgress()
        self._progress: Progress | None = None
        self._warned: set[str] = set()

    def planning(self, progress: PlanningProgress) -> None:
        self._latest = progress
        if self._progress is not None:
            self._progress.planning(progress)

    def warned(self, warning: str) -> None:
        """Shows a warning, once."""
        if warning in self._warned:
            return
        self._warned.add(warning)
        if self._progress is not None:
            self._progress.warned(warning)
        else:
            self._err.warn(warning)

    async def show(self) -> None:
        """Waits for TICK_SECONDS, then shows the progress until cancelled."""
        await asyncio.sleep(TICK_SECONDS)
        self._progress = progress = progress_for(self._err, self._environ)
        progress.counts.phase = "planning"
        progress.planning(self._latest)
        progress.start()
        while True:
            progress.tick()
            await asyncio.sleep(TICK_SECONDS)

    def end(self) -> None:
        """Removes the display."""
        if self._progress is not None:
            self._progress.stop()
