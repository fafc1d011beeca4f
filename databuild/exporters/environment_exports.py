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
"""The time after which the next environment begins to catch up, although one has not."""

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
    ) -> None:
        """Starts nothing yet.

        Args:
            logs: The event logs of the environments.
            open_exporters: Returns new exporters for the events of an environment.
            seconds: The maximum time to send what is left before an environment is removed.
            warn: Called with a sentence when a receiver fails or refuses events, from another thread.
            liveness: Names this process, and tells which processes have died.
        """
        self._logs = logs
        self._open_exporters = open_exporters
        self._seconds = seconds
        self._warn = warn
        self._liveness = liveness
        self._lock = threading.Lock()
        self._in_use: dict[str, ExportSet] = {}
        self._ending: list[tuple[str, ExportSet]] = []
        self._stopping = threading.Event()

    def begin(self, environment: str, log: FollowedLog) -> None:
        """Sends the events of an environment from now on.

        Raises:
            InvalidRequestError: An exporter cannot be used.
            EventLogError: The event log failed.
        """
        exports = self._start(environment, log)
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
        """Sends what is left of all environments, in a thread of its own, which begins now."""
        # A daemon, so that a receiver that never answers cannot keep the process.
        threading.Thread(target=self._catch_up, name="exports of environments", daemon=True).start()

    def leave(self) -> Sequence[ExportSet]:
        """Ends; returns the exporters that may have something left."""
        self._stopping.set()
        with self._lock:
            return [*self._in_use.values(), *(exports for _, exports in self._ending)]

    def _start(self, environment: str, log: FollowedLog) -> ExportSet:
        exports = ExportSet(
            log,
            self._open_exporters(environment),
            warn=lambda text: self._warn(f"environment {environment}: {text}"),
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
        for name in self._logs.names():
            with self._lock:
                in_use = name in self._in_use
            if in_use or self._stopping.is_set():
                continue
            try:
                exports = self._of_unused(name)
            except DataBuildError as error:
                self._warn(f"environment {name}: its events cannot be sent: {error}")
                continue
            self._finish(name, exports)
            deadline = time.monotonic() + _TURN_SECONDS
            while not exports.finished and time.monotonic() < deadline and not self._stopping.wait(_POLL_SECONDS):
                pass

    def _of_unused(self, environment: str) -> ExportSet:
        self._logs.check(environment)  # it may have been removed meanwhile, and must not be made again
        log = self._logs.open(environment)
        try:
            return self._start(environment, log)
        finally:
            asyncio.run(log.close())
