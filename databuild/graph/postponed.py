"""Tasks that wait for another build: it produces their outputs, or holds the resources that they need."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from databuild.graph.ports import ExecutionObserver
from databuild.model.job_graph import Task


class PostponedTasks:
    """Waits for a change of each postponed task, and then makes it ready again."""

    def __init__(self, observer: ExecutionObserver, ready: Callable[[Task, bool], None]) -> None:
        """Postpones nothing yet.

        Args:
            observer: Waits for changes.
            ready: Makes a task ready again; the flag says whether it still holds its resources of this build.
        """
        self._observer = observer
        self._ready = ready
        self._waiting: set[asyncio.Future[None]] = set()
        self._error: BaseException | None = None

    def add(self, task: Task, *, holding: bool) -> None:
        """Postpones a task until the observer notices a change."""
        waiting = asyncio.ensure_future(self._observer.changed(task))
        self._waiting.add(waiting)
        waiting.add_done_callback(functools.partial(self._changed, task, holding))

    def raise_error(self) -> None:
        """Raises the error with which waiting has failed, if it has."""
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Stops to wait."""
        for waiting in self._waiting:
            waiting.cancel()

    def _changed(self, task: Task, holding: bool, waiting: asyncio.Future[None]) -> None:
        self._waiting.discard(waiting)
        if not waiting.cancelled():
            self._error = waiting.exception() or self._error
            self._ready(task, holding)
