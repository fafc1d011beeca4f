"""A run that waits in the queue of the runner, and the record of its start."""

from __future__ import annotations

from collections.abc import Callable

from databuild.graph.ports import Attempt, ExecutionObserver


class QueuedRun:
    """A run in the queue of the runner; implements `ports.RunStart`.

    Attributes:
        attempt: The attempt.
        prepared: True if its start can be recorded: the runs that make its inputs have ended well.
        recorded: True if its start has been recorded.
        started_time: The monotonic time of its start; None if it is not known to have started.
    """

    __slots__ = ("_clock", "_is_running", "_observer", "_on_start", "attempt", "prepared", "recorded", "started_time")

    def __init__(
        self,
        attempt: Attempt,
        observer: ExecutionObserver,
        on_start: Callable[[Attempt], None],
        clock: Callable[[], float],
    ) -> None:
        """Prepares nothing yet.

        Args:
            attempt: The attempt.
            observer: Records its start.
            on_start: Called once when it has started and is prepared.
            clock: Returns the monotonic time.
        """
        self.attempt = attempt
        self.prepared = False
        self.recorded = False
        self.started_time: float | None = None
        self._observer = observer
        self._on_start = on_start
        self._clock = clock
        self._is_running = False

    def prepare(self) -> None:
        """Lets its start be recorded."""
        self._observer.prepare(self.attempt)
        self.prepared = True
        if self.started_time is not None:
            self._on_start(self.attempt)
            self._record()

    def started(self, time: float, ended: bool) -> None:
        is_first = self.started_time is None
        if is_first:
            self.started_time = time
        self._is_running = self._is_running or not ended
        if self.prepared:
            if is_first:
                self._on_start(self.attempt)
            self._record()

    def may_report(self) -> bool:
        return self.prepared

    def withdraw(self) -> None:
        """Called if it was not started."""
        if self.prepared:
            self._observer.withdraw(self.attempt)

    def _record(self) -> None:
        """Records the start of a run that is running. That of a short one is recorded together with its end."""
        if self._is_running and not self.recorded:
            assert self.started_time is not None
            self.recorded = True
            self._observer.record_start(self.attempt, self._clock() - self.started_time)
