"""Tasks that wait for another build, which produces their outputs or holds the resources that they need."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from databuild.graph.ports import ExecutionObserver
from databuild.model.job_graph import Task


class PostponedTasks:
    """Waits for a change for each postponed task, and then makes the task ready again."""

    def __init__(self, observer: ExecutionObserver, ready: Callable[[Task, bool], None]) -> None:
        """Postpones nothing yet.

        Args:
            observer: Waits for changes.
            ready: Makes a task ready again; its second argument is True if the task still holds its resources.
        """
        self._observer = observer
        self._ready = ready
        self._waiting: set[asyncio.Future[None]] = set()
        self._error: BaseException | None = None

    def add(self, task: Task, *, holding: bool) -> None:
        waiting = asyncio.ensure_future(self._observer.wait_for_change(task))
        self._waiting.add(waiting)
        waiting.add_done_callback(functools.partial(self._make_ready, task, holding))

    def raise_error(self) -> None:
        """Raises the error of a failed wait, if any."""
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        for waiting in self._waiting:
            waiting.cancel()

    def _make_ready(self, task: Task, holding: bool, waiting: asyncio.Future[None]) -> None:
        self._waiting.discard(waiting)
        if not waiting.cancelled():
            # A callback cannot raise to the slots. The task becomes ready, and the slot that takes it raises the error.
            self._error = waiting.exception() or self._error
            self._ready(task, holding)
