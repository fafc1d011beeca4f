"""The exporters of a service for the environments beside the base, each with the cursors of its own event log."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import DataBuildError
from databuild.exporters.export_set import ExportSet
from databuild.exporters.exporter import Exporter
from databuild.exporters.follower import FollowedLog

if TYPE_CHECKING:
    from databuild.event_log.liveness import Liveness
    from databuild.event_log.open import EnvironmentLogs

_TURN_SECONDS: Final = 10.0
"""The time that an environment has to catch up, before it is the turn of the next one."""

_ROUND_SECONDS: Final = 60.0
"""The pause before the environments that have not caught up get another turn."""

_POLL_SECONDS: Final = 0.05


class EnvironmentExports:
    """Sends the events of environments: of those in use as they come, and of the others what was left at the start.

    Every method blocks for the time of a few reads, and may be called by any thread.
    """

    def __init__(
        self,
        logs: EnvironmentLogs,
        open_exporters: Callable[[str], Sequence[Exporter]],
        *,
        seconds: float,
        warn: Callable[[str], None],
        liveness: Liveness,
        turn_seconds: float = _TURN_SECONDS,
        round_seconds: float = _ROUND_SECONDS,
    ) -> None:
        """Starts nothing yet.

        Args:
            logs: The event logs of the environments.
            open_exporters: Returns new exporters for the events of an environment.
            seconds: The maximum time to send what is left before an environment is removed.
            warn: Called with a sentence when a receiver fails or refuses events, from another thread.
            liveness: Names this process, and tells which processes have died.
            turn_seconds: The time that an environment has to catch up, before it is the turn of the next one.
            round_seconds: The pause before those that have not caught up get another turn.
        """
        self._logs = logs
        self._open_exporters = open_exporters
        self._seconds = seconds
        self._warn = warn
        self._liveness = liveness
        self._lock = threading.Lock()
        self._in_use: dict[str, ExportSet] = {}
        self._ending: list[tuple[str, ExportSet]] = []
        self._turn_seconds = turn_seconds
        self._round_seconds = round_seconds
        self._stopping = threading.Event()
        self._said: set[str] = set()

    def begin(self, environment: str, log: FollowedLog) -> None:
        """Sends the events of an environment from now on.

        Raises:
            InvalidRequestError: An exporter cannot be used.
            EventLogError: The event log failed.
        """
        exports = self._start(environment, log, self._warn)
        with self._lock:
            self._in_use[environment] = exports

    def end(self, environment: str) -> None:
        """Sends what is left of an environment, and ends. Does not wait."""
        with self._lock:
            exports = self._in_use.pop(environment, None)
        if exports is not None:
            self._finish(environment, exports)

    def remove(self, environment: str) -> None:
        """Sends what is left of an environment that is about to be removed, for a limited time."""
        self.end(environment)
        with self._lock:
            removed = [exports for name, exports in self._ending if name == environment]
            self._ending = [one for one in self._ending if one[0] != environment]
        for exports in removed:
            exports.stop(self._seconds)

    def catch_up(self) -> None:
        """Sends what is left of all environments, one after the other, in a thread of its own, which begins now."""
        # A daemon, so that a receiver that never answers cannot keep the process.
        threading.Thread(target=self._catch_up, name="exports of environments", daemon=True).start()

    def leave(self) -> Sequence[ExportSet]:
        """Ends; returns the exporters that may have something left."""
        self._stopping.set()
        with self._lock:
            return [*self._in_use.values(), *(exports for _, exports in self._ending)]

    def _start(self, environment: str, log: FollowedLog, warn: Callable[[str], None]) -> ExportSet:
        exports = ExportSet(
            log,
            self._open_exporters(environment),
            warn=lambda text: warn(f"environment {environment}: {text}"),
            liveness=self._liveness,
        )
        try:
            exports.start()
        except BaseException:
            exports.finish()
            raise
        return exports

    def _finish(self, environment: str, exports: ExportSet) -> None:
        exports.finish()
        with self._lock:
            self._ending = [one for one in self._ending if not one[1].finished]
            self._ending.append((environment, exports))

    def _catch_up(self) -> None:
        left = self._logs.names()
        while left:
            left = [name for name in left if not self._stopping.is_set() and not self._has_caught_up(name)]
            if left and self._stopping.wait(self._round_seconds):
                break

    def _has_caught_up(self, environment: str) -> bool:
        """Gives an environment its turn; returns True if it needs no other one."""
        with self._lock:
            if environment in self._in_use:
                return True
        try:
            exports = self._of_unused(environment)
        except DataBuildError as error:
            self._warn(f"environment {environment}: its events cannot be sent: {error}")
            return True
        self._finish(environment, exports)
        deadline = time.monotonic() + self._turn_seconds
        while not exports.finished:
            if self._stopping.wait(_POLL_SECONDS):
                return True  # the end of the process waits for it
            if time.monotonic() > deadline:
                # A receiver that is away must not take more and more connections to the event logs.
                exports.abandon()
                return False
        return True

    def _of_unused(self, environment: str) -> ExportSet:
        self._logs.check(environment)  # it may have been removed meanwhile, and must not be made again
        log = self._logs.open(environment)
        try:
            return self._start(environment, log, self._warn_once)
        finally:
            asyncio.run(log.close())

    def _warn_once(self, text: str) -> None:
        """Warns, unless an earlier turn has said the same."""
        if text not in self._said:
            self._said.add(text)
            self._warn(text)
