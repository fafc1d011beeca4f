"""Decides which events are worth a notification, and describes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from databuild.model import statuses
from databuild.model.enum_names import category_name, severity_name
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.records import BuildRecord
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads

END: Final = "end"
FAILURE: Final = "failure"
FIRST_FAILURE: Final = "first_failure"
CHECK: Final = "check"
WAIT: Final = "wait"

OCCASIONS: Final = (END, FAILURE, FIRST_FAILURE, CHECK, WAIT)
"""The end of a build, a failure, the first failure after a success, a check that did not pass, and a build that waits.

The last one has no event. `waits.py` finds it.
"""

_MAX_REQUESTED: Final = 100


class Notification(NamedTuple):
    """One notification.

    Attributes:
        kind: The kind of event, such as `build.failed` or `check.failed`.
        id: The id, which depends on the event alone.
        build_request_id: The build.
        graph_label: The graph.
        time: The time of the event, in RFC 3339.
        data: The facts, as JSON.
    """

    kind: str
    id: str
    build_request_id: str
    graph_label: str
    time: str
    data: dict[str, Any]


def notification_of(
    event: ev.BuildEvent, occasions: Collection[str], reads: BuildReads, environment: str = ""
) -> Notification | None:
    """Returns the notification about an event; None if it is not worth one.

    Args:
        event: The event.
        occasions: Those of OCCASIONS that are worth a notification.
        reads: Reads the build of the event.
        environment: The environment of the build; empty for the base.
    """
    kind = event.WhichOneof("event")
    if kind == "build_request" and event.build_request.status in BUILD_ENDS:
        return _of_end(event, occasions, reads, environment)
    if kind == "check" and CHECK in occasions and not event.check.result.passed:
        return _of_check(event, reads, environment)
    return None


def _of_end(
    event: ev.BuildEvent, occasions: Collection[str], reads: BuildReads, environment: str
) -> Notification | None:
    end = event.build_request
    failed = end.status == ev.BUILD_STATUS_FAILED
    wanted = END in occasions or (
        failed and (FAILURE in occasions or (FIRST_FAILURE in occasions and _is_first_failure(event, reads)))
    )
    if not wanted:
        return None
    status = statuses.BUILD.name(end.status)
    facts = {
        "status": status,
        "jobs_completed": end.jobs_completed,
        "jobs_failed": end.jobs_failed,
        "message": end.failure.message or end.error.message,
        "category": category_name(end.failure.category) if end.HasField("failure") else "",
        "cancelled_by": end.cancelled_by,
        "warnings": list(end.warnings),
    }
    return _notification(f"build.{status.lower()}", event, reads, facts, environment)


def _is_first_failure(event: ev.BuildEvent, reads: BuildReads) -> bool:
    """Returns True if the newest earlier build that has completed or failed has not failed."""
    before = event.build_request_id
    while page := reads.builds(before=before):
        for build in page:
            if build.status in {"COMPLETED", "FAILED"}:
                return build.status == "COMPLETED"
        before = page[-1].build_request_id
    return True


def _of_check(event: ev.BuildEvent, reads: BuildReads, environment: str) -> Notification:
    result = event.check.result
    run = reads.job_run(event.check.job_run_id)
    facts = {
        "job_run_id": event.check.job_run_id,
        "job_label": run.job_label if run else "",
        "check": result.name,
        "ref": result.ref,
        "severity": severity_name(result.severity),
        "message": result.message,
        "tainted": [ref.str for ref in event.check.tainted][:_MAX_REQUESTED],
    }
    return _notification("check.failed", event, reads, facts, environment)


def _notification(
    kind: str, event: ev.BuildEvent, reads: BuildReads, facts: dict[str, Any], environment: str
) -> Notification:
    return build_notification(
        kind,
        event_id=event.event_id,
        time=event.time.ToJsonString(),
        build_request_id=event.build_request_id,
        build=reads.build(event.build_request_id),
        environment=environment,
        facts=facts,
    )


def build_notification(
    kind: str,
    *,
    event_id: str,
    time: str,
    build_request_id: str,
    build: BuildRecord | None,
    environment: str,
    facts: dict[str, Any],
) -> Notification:
    """Returns a notification about a build.

    Args:
        kind: The kind of event, such as `build.failed`.
        event_id: The id of the event.
        time: The time of the event, in RFC 3339.
        build_request_id: The build.
        build: Its record; None if there is none.
        environment: The environment of the build; empty for the base.
        facts: Facts besides those about the request.
    """
    requested = build.requested if build else ()
    return Notification(
        kind=kind,
        id=event_id,
        build_request_id=build_request_id,
        graph_label=build.graph_label if build else "",
        time=time,
        data={
            "build_request_id": build_request_id,
            "graph_label": build.graph_label if build else "",
            "environment": environment,
            "requested": list(requested[:_MAX_REQUESTED]),
            "requested_count": len(requested),
            **facts,
        },
    )
