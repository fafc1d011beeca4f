"""Selections of builds and job logs to prune, and the results."""

from __future__ import annotations

from databuild.tuples import NamedTuple


class PruneOptions(NamedTuple):
    """A selection of builds and job logs. With neither `older_than_seconds` nor `keep`, no build is selected.

    Attributes:
        older_than_seconds: The minimum time since the end of a build; None for no minimum.
        keep: The number of the newest ended builds that are not selected; None for none.
        logs_older_than_seconds: The minimum time since the end of a build whose job logs are selected; None to select
            only the logs of pruned builds.
    """

    older_than_seconds: float | None = None
    keep: int | None = None
    logs_older_than_seconds: float | None = None

    @property
    def builds(self) -> bool:
        """True if builds are selected."""
        return self.older_than_seconds is not None or self.keep is not None


class PrunedBuild(NamedTuple):
    """One build that was pruned, or would be.

    Attributes:
        build_request_id: Its id.
        status: Its status.
        ended_time: The time of its end, in seconds since the epoch.
        events: The number of its events.
    """

    build_request_id: str
    status: str
    ended_time: float
    events: int


class Pruned(NamedTuple):
    """Builds and job logs that were pruned, or would be.

    Attributes:
        builds: The builds, newest first.
        events: The number of their events.
        event_bytes: The size of these events in bytes.
        log_builds: The number of builds whose job logs were removed.
        log_bytes: The size of these logs in bytes.
        freed_bytes: The bytes of the event log that were returned to the file system.
        more: True if there is more to prune.
    """

    builds: tuple[PrunedBuild, ...] = ()
    events: int = 0
    event_bytes: int = 0
    log_builds: int = 0
    log_bytes: int = 0
    freed_bytes: int = 0
    more: bool = False

    def plus(self, later: Pruned) -> Pruned:
        """Returns the sum of this result and a later one."""
        return Pruned(
            (*self.builds, *later.builds),
            self.events + later.events,
            self.event_bytes + later.event_bytes,
            self.log_builds + later.log_builds,
            self.log_bytes + later.log_bytes,
            self.freed_bytes + later.freed_bytes,
            later.more,
        )
