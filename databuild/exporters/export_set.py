"""The exporters of one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from databuild.exporters.exporter import Exporter
from databuild.exporters.follower import FollowedLog, Follower

if TYPE_CHECKING:
    from databuild.event_log.liveness import Liveness

_SILENT_SECONDS: Final = 1.0
"""The time to wait before a person is told that the end of the process waits."""


class ExportSet:
    """Sends the events of an event log with several exporters, each in a thread of its own."""

    def __init__(
        self, log: FollowedLog, exporters: Sequence[Exporter], *, warn: Callable[[str], None], liveness: Liveness
    ) -> None:
        """Starts nothing yet.

        Args:
            log: The event log.
            exporters: The exporters.
            warn: Called with a sentence when a receiver fails or refuses events, from another thread.
            liveness: Names this process, and tells which processes have died.
        """
        self._warn = warn
        self._followers = [Follower(log, exporter, warn=warn, liveness=liveness) for exporter in exporters]

    @property
    def handled(self) -> Mapping[str, int]:
        """The number of events that each exporter has sent or needs not send, by its name."""
        return {follower.name: follower.handled for follower in self._followers}

    @property
    def finished(self) -> bool:
        """True once everything was sent after `finish`."""
        return all(follower.stop(0.0) for follower in self._followers)

    def catch_up(self, seconds: float) -> bool:
        """Sends what is left in the log, and ends.

        Args:
            seconds: The time without progress after which it gives up.

        Returns:
            True if everything was sent and nothing was refused.
        """
        progress = -1
        while progress < (progress := sum(self.handled.values())):
            ended = [follower.stop(seconds) for follower in self._followers]
            if all(ended):
                break
        return self.give_up(seconds)

    def start(self) -> None:
        """Begins to send.

        Raises:
            EventLogError: The event log failed.
        """
        for follower in self._followers:
            follower.start()

    def finish(self) -> None:
        """Sends what is left in the log, and ends, however long that takes. Returns immediately."""
        for follower in self._followers:
            follower.stop(0.0)

    def abandon(self) -> None:
        """Ends soon, although something may be left for another set. Returns immediately."""
        for follower in self._followers:
            follower.abandon()

    def stop(self, seconds: float, beside: Sequence[ExportSet] = ()) -> bool:
        """Sends what is left in the log, and ends. Warns about exporters that could not.

        Args:
            seconds: The maximum time to wait for all of them together.
            beside: Other sets, which end at the same time.

        Returns:
            True if everything was sent and nothing was refused.
        """
        began = time.monotonic()
        sets = (self, *beside)
        for one in sets:
            one.finish()
        late = [follower for one in sets for follower in one.unfinished(began + min(seconds, _SILENT_SECONDS))]
        if late and seconds > _SILENT_SECONDS:
            names = ", ".join(dict.fromkeys(follower.name for follower in late))
            self._warn(f"sending events to {names} for {seconds:g} s at most")
        for one in sets:
            one.unfinished(began + seconds)
        complete = [one.give_up(seconds) for one in sets]
        return all(complete)

    def unfinished(self, deadline: float) -> Sequence[Follower]:
        """Returns the followers that have not ended by a time of the monotonic clock."""
        return [one for one in self._followers if not one.stop(max(deadline - time.monotonic(), 0.0))]

    def give_up(self, seconds: float) -> bool:
        """Leaves what was not sent to another process.

        Args:
            seconds: The time for which it was waited, for the warnings.

        Returns:
            True if everything was sent and nothing was refused.
        """
        complete = True
        for follower in self._followers:
            if not follower.stop(0.0):
                follower.give_up()
                complete = False
                reason = f": {follower.fault}" if follower.fault else ""
                self._warn(
                    f"not all events were sent to {follower.name} within {seconds:g} s{reason}; the next build or "
                    "service with this exporter sends them"
                )
            complete = complete and not follower.refused
        return complete
