"""A follower reads the event log behind a cursor, and sends the events with an exporter.

It reads durable events, in a thread of its own, so it never delays a build: the event log is the queue. Events that
could not be sent are sent by the next process with the same exporter.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from databuild.errors import EventLogError
from databuild.exporters.exporter import Batch, Exporter, ReceiverError, TimedExporter

if TYPE_CHECKING:
    from databuild.event_log.cursors import Checkpoint, Cursors
    from databuild.event_log.liveness import Liveness
    from databuild.event_log.reads import Reader

MAX_EVENTS: Final = 1000
"""The maximum number of events that are read at once."""

HOLD_SECONDS: Final = 40.0
"""The time after which another process may send, if this one has died. It exceeds the time that `send` takes."""

_CLOCK_SUFFIX: Final = " clock"
_INTERVAL_SECONDS: Final = 0.5
"""The interval between two reads of the log, unless more events are left than one read returns.

Every read costs two transactions and most exporters a request, beside the work of a build.
"""

_REPORT_SECONDS: Final = 60.0
"""The minimum time between two reports of refused requests, of which one receiver may refuse thousands."""

_MAX_REASONS: Final = 5
"""The maximum number of reasons in one report."""

_MIN_PAUSE: Final = 0.5
_MAX_PAUSE: Final = 30.0
_HELD_SECONDS: Final = 0.1
"""The interval at which a process that is about to end looks whether another one has sent everything."""

_MAX_LAST_PAUSE: Final = 1.0
"""The maximum pause between two attempts while a process waits for the end."""

_log = logging.getLogger("databuild.exporters")


class FollowedLog(Protocol):
    """The part of an event log that a follower needs."""

    def follow(self) -> Reader: ...

    def cursors(self) -> Cursors: ...


class Step(enum.Enum):
    """The result of one step of a follower."""

    SENT = enum.auto()
    CAUGHT_UP = enum.auto()
    """There are no more events."""
    HELD = enum.auto()
    """Another process sends for this exporter."""
    FAILED = enum.auto()
    """The receiver or the event log failed."""


class Follower:
    """Sends the events of a log with one exporter, until it is stopped.

    Attributes:
        name: The name of the exporter.
        fault: The reason why the last attempt failed; empty if it did not.
        refused: The number of requests that the receiver refused for good.
        handled: The number of events that need not be sent again.
    """

    def __init__(
        self,
        log: FollowedLog,
        exporter: Exporter,
        *,
        warn: Callable[[str], None],
        liveness: Liveness,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Starts nothing yet.

        Args:
            log: The event log.
            exporter: Sends the events.
            warn: Called with a sentence when the receiver fails or refuses events, from another thread.
            liveness: Names this process, and tells which processes have died.
            clock: Returns the time in seconds since the epoch.
        """
        self.name = exporter.name
        self.fault = ""
        self.refused = 0
        self.handled = 0
        self.pause = _MIN_PAUSE
        self._log = log
        self._exporter = exporter
        self._warn = warn
        self._liveness = liveness
        self._clock = clock
        self._timed = exporter if isinstance(exporter, TimedExporter) and exporter.poll_seconds else None
        self._next_poll = 0.0
        self._unreported: dict[str, int] = {}
        self._next_report = 0.0
        self._more = False
        self._reached: Checkpoint | None = None
        self._cursor_names = (self.name, self.name + _CLOCK_SUFFIX) if self._timed else (self.name,)
        self._holder = f"{liveness.this_process()}#{os.urandom(16).hex()}"
        self._cursors = log.cursors()
        self._reader = log.follow()
        self._stopping = threading.Event()
        self._abandoned = False
        self._broken = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to send, in a thread. The cursor of a new exporter begins at the end of the log.

        Raises:
            EventLogError: The event log failed.
        """
        self._reached = self._cursors.take(self.name, self._holder, HOLD_SECONDS)
        # A daemon, so that a receiver that never answers cannot keep the process.
        self._thread = threading.Thread(target=self._run, name=f"exporter {self.name}", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Sends what is left in the log, and ends.

        Args:
            seconds: The maximum time to wait.

        Returns:
            True if everything was sent, by this process or by another one with the same exporter.
        """
        if self._thread is None:
            return True
        self._stopping.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._broken

    def abandon(self) -> None:
        """Ends soon, although something may be left for another follower. Does not wait."""
        self._abandoned = True
        self._stopping.set()

    def give_up(self) -> None:
        """Lets the next process take the cursor at once, although the thread may be in the middle of a request."""
        with contextlib.suppress(EventLogError), contextlib.closing(self._log.cursors()) as cursors:
            for name in self._cursor_names:
                cursors.release(name, self._holder)

    def step(self) -> Step:
        """Sends the next events."""
        try:
            # The cursor is held since the start or the last advance.
            before = self._reached or self._cursors.take(self.name, self._holder, HOLD_SECONDS)
            self._reached = None
            if before is None:
                self._release_of_dead()
                return Step.HELD
            found = list(self._reader.all_events(after_position=before.position, limit=MAX_EVENTS))
            if not found:
                self._send_due()
                self._recover()
                return Step.CAUGHT_UP
            delivery = self._exporter.send(Batch(found, before.state), self._reader)
            self._count_refusals(delivery.refusals)
            reached, _ = found[delivery.handled - 1]
            held = self._cursors.advance(
                self.name, self._holder, before.position, reached, delivery.state, seconds=HOLD_SECONDS
            )
        except (ReceiverError, EventLogError) as error:
            self._fail(str(error))
            return Step.FAILED
        self._more = len(found) == MAX_EVENTS or delivery.handled < len(found)
        self._recover()
        if not held:
            return Step.HELD
        if self._more:
            self._reached = before._replace(position=reached, state=delivery.state)
        self.handled += delivery.handled
        return Step.SENT

    def _run(self) -> None:
        try:
            while not self._abandoned:
                # Events that were written before the stop are found by the step after it.
                stopping = self._stopping.is_set()
                step = self.step()
                if stopping and self._has_ended(step):
                    break
                self._rest(step, stopping=stopping)
        except Exception as error:  # a bug: without this, the end of the thread would look like success
            self._broken = True
            self.fault = f"{type(error).__name__}: {error}"
            self._warn(
                f"{self.name} stopped after an internal error: {self.fault}; the next process sends what is left"
            )
            _log.exception("%s stopped", self.name)
        finally:
            self._close()

    def _has_ended(self, step: Step) -> bool:
        """Returns True if a step has left nothing."""
        if step is Step.SENT:
            # A timed exporter sends what is due after the last event.
            return not self._more and self._timed is None
        return step is Step.CAUGHT_UP or (step is Step.HELD and self._sent_by_another())

    def _rest(self, step: Step, *, stopping: bool) -> None:
        """Waits until the next step is due."""
        if step is Step.SENT and self._more:
            return
        pause = self.pause if step is Step.FAILED else _INTERVAL_SECONDS
        if not stopping:
            self._stopping.wait(pause)
        elif step is not Step.SENT:
            time.sleep(min(pause, _MAX_LAST_PAUSE) if step is Step.FAILED else _HELD_SECONDS)

    def _send_due(self) -> None:
        """Sends what has become due since the last time at which any process with the exporter did so.

        A cursor of its own holds that time, in milliseconds since the epoch.
        """
        now = self._clock()
        if self._timed is None or now < self._next_poll:
            return
        name = self.name + _CLOCK_SUFFIX
        taken = self._cursors.take(name, self._holder, HOLD_SECONDS)
        if taken is not None and (until := int(now * 1000)) > taken.position:
            self._count_refusals(self._timed.send_due(taken.position / 1000, until / 1000, self._reader))
            self._cursors.advance(name, self._holder, taken.position, until, seconds=HOLD_SECONDS)
        self._next_poll = now + self._timed.poll_seconds

    def _count_refusals(self, refusals: Sequence[str]) -> None:
        self.refused += len(refusals)
        for refusal in refusals:
            self._unreported[refusal] = self._unreported.get(refusal, 0) + 1
        if self._unreported and self._clock() >= self._next_report:
            self._report_refusals()

    def _report_refusals(self) -> None:
        """Warns about refused requests, once for each reason."""
        self._next_report = self._clock() + _REPORT_SECONDS
        counts, self._unreported = self._unreported, {}
        for refusal, count in islice(counts.items(), _MAX_REASONS):
            requests = "a request, which is left out" if count == 1 else f"{count:,} requests, which are left out"
            self._warn(f"the receiver of {self.name} refused {requests}: {refusal}")
        if others := sum(islice(counts.values(), _MAX_REASONS, None)):
            self._warn(f"the receiver of {self.name} refused further requests for other reasons: {others:,}")

    def _release_of_dead(self) -> None:
        """Releases the cursors whose holder was a process of this machine that has died, which need not expire."""
        for cursor in self._cursors.all():
            if cursor.exporter in self._cursor_names and self._liveness.is_gone(cursor.holder.partition("#")[0]):
                self._cursors.release(cursor.exporter, cursor.holder)

    def _sent_by_another(self) -> bool:
        """Returns True if the process that holds the cursor has sent all events."""
        try:
            position = next((cursor.position for cursor in self._cursors.all() if cursor.exporter == self.name), 0)
            return not list(self._reader.all_events(after_position=position, limit=1))
        except EventLogError:
            return False

    def _fail(self, fault: str) -> None:
        if fault != self.fault:
            self._warn(f"events could not be sent to {self.name}: {fault}; they will be sent later")
        self.pause = min(self.pause * 2, _MAX_PAUSE) if self.fault else _MIN_PAUSE
        self.fault = fault

    def _recover(self) -> None:
        self.fault = ""

    def _close(self) -> None:
        self._report_refusals()
        with contextlib.suppress(EventLogError):
            for name in self._cursor_names:
                self._cursors.release(name, self._holder)
        self._cursors.close()
        self._reader.close()
        self._exporter.close()
