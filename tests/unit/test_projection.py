"""The projection handles every kind of event and every status, and raises for unknown ones."""

from __future__ import annotations

from typing import cast

import pytest

from databuild.errors import EventLogError
from databuild.event_log.projection import Changes, refs_of
from databuild.v1 import events_pb2 as ev

KINDS = [field.name for field in ev.BuildEvent.DESCRIPTOR.oneofs_by_name["event"].fields]


def event_of(kind: str) -> ev.BuildEvent:
    """Returns an event of a kind, with the first valid status."""
    event = ev.BuildEvent(build_request_id="b", sequence=7, event_id="b/7")
    payload = getattr(event, kind)
    payload.SetInParent()
    if "status" in payload.DESCRIPTOR.fields_by_name:
        payload.status = 1
    return event


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_is_handled(kind: str) -> None:
    changes = Changes([event_of(kind)])

    assert changes.build["last_sequence"] == 7
    assert list(refs_of(event_of(kind))) == ([""] if kind == "partition" else [])


def test_an_event_of_an_unknown_kind_raises() -> None:
    # Field 500 does not exist: an event of a newer version looks like this.
    newer = ev.BuildEvent.FromString(
        ev.BuildEvent(build_request_id="b", sequence=7).SerializeToString() + b"\xa2\x1f\x00"
    )

    with pytest.raises(EventLogError, match="the kind of event 7 of build b is unknown to this version"):
        Changes([newer])
    with pytest.raises(EventLogError, match="event 7 of build b"):
        list(refs_of(newer))


@pytest.mark.parametrize("status", [0, 99])
def test_a_job_run_of_an_unknown_status_raises(status: int) -> None:
    event = event_of("job")
    event.job.status = cast("ev.JobStatus", status)

    with pytest.raises(EventLogError, match=f"job status {status}"):
        Changes([event])
