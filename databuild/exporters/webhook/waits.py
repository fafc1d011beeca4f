"""Finds builds that wait for too long: nothing has happened in them for some time, and none of their job runs runs.

Such a build waits in the queue of a service, for data that another build makes, for a resource, or for an engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from databuild.exporters.webhook.notifications import Notification, build_notification
from databuild.model.records import BuildRecord, JobRunRecord

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads

_PLACES: Final = {
    "RECEIVED": "it is in the queue",
    "ANALYSIS_COMPLETED": "its execution has not begun",
    "EXECUTING": "none of its job runs runs",
}
"""The statuses in which a build may wait. A build that is being planned works."""


def waiting_builds(
    reads: BuildReads, *, after: float, until: float, limit_seconds: float, environment: str = ""
) -> Iterator[Notification]:
    """Yields a notification for each build that has waited for a time.

    Args:
        reads: Reads builds and job runs.
        after: The time of the previous call, in seconds since the epoch. Waits that exceeded the limit before are left
            out.
        until: The current time.
        limit_seconds: The time that a build may wait.
        environment: The environment of the builds; empty for the base.
    """
    for status in _PLACES:
        before = None
        while page := reads.builds(status=status, before=before):
            for build in page:
                if after < build.updated_time + limit_seconds <= until and not _works(reads, build):
                    yield _notification(build, limit_seconds, environment)
            before = page[-1].build_request_id


def _works(reads: BuildReads, build: BuildRecord) -> bool:
    """Returns True if a job run of the build runs, and does not just wait for a machine of an engine."""
    after = 0
    while runs := reads.job_runs(build.build_request_id, status="RUNNING", after=after):
        if not all(_waits_for_machine(run) for run in runs):
            return True
        after = runs[-1].number
    return False


def _waits_for_machine(run: JobRunRecord) -> bool:
    return bool(run.executor) and not run.placed_time


def _notification(build: BuildRecord, limit_seconds: float, environment: str) -> Notification:
    facts = {
        "status": build.status,
        "waiting_since": _text(build.updated_time),
        "wait_seconds": limit_seconds,
        "message": f"nothing has happened in the build for {limit_seconds:g} s: {_PLACES[build.status]}",
    }
    return build_notification(
        "build.waiting",
        # The same wait has the same id, so that a receiver recognises a request that is sent again.
        event_id=f"{build.build_request_id}/{build.last_sequence}/waiting",
        time=_text(build.updated_time + limit_seconds),
        build_request_id=build.build_request_id,
        build=build,
        environment=environment,
        facts=facts,
    )


def _text(seconds: float) -> str:
    """Formats a time as RFC 3339, in milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
