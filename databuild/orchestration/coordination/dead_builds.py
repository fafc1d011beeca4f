"""Builds whose orchestrators have died without writing an end.

Imports little, so that commands that only read start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from databuild.event_log import liveness
from databuild.model import statuses
from databuild.model.paging import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databuild.event_log.coordination import Lease
    from databuild.event_log.reads import BuildReads, OpenBuildReads
    from databuild.model.records import BuildRecord


class Dead(NamedTuple):
    """Why a build counts as dead.

    Attributes:
        fault: The reason, in words.
        here: Whether it may have left processes on this machine.
    """

    fault: str
    here: bool


def find_dead(reader: OpenBuildReads) -> dict[str, Dead]:
    """Returns the builds that have not ended and whose orchestrators have died, by id; without those that are left."""
    return _find(reader)[0]


def find_left(reader: OpenBuildReads) -> dict[str, Lease]:
    """Returns the leases of builds that have an owner, whose holder has died before they were admitted, by id.

    Nothing of them has run, and nobody has asked to cancel them: another process can take them over.
    """
    return _find(reader)[1]


def _builds(reader: OpenBuildReads, status: str) -> Iterator[BuildRecord]:
    return read_rows(
        lambda newer, limit: reader.builds(status=status, before=newer or None, limit=limit),
        key=lambda build: build.build_request_id,
        start="",
    )


def _find(reader: OpenBuildReads) -> tuple[dict[str, Dead], dict[str, Lease]]:
    # Read before the leases: a build begins together with its lease, so that none that begins meanwhile lacks one.
    opened = {build.build_request_id: build for status in statuses.BUILD.open for build in _builds(reader, status)}
    leases = reader.leases()
    known = {lease.build_request_id for lease, _ in leases}
    dead = {
        build: Dead("it has no lease", here=True)
        for build in opened
        if build not in known and _is_open(reader, build)  # or it has ended meanwhile, and its lease with it
    }
    left: dict[str, Lease] = {}
    # One process may hold very many.
    holders = {
        holder: (liveness.is_here(holder), liveness.is_gone(holder)) for holder in {lease.holder for lease, _ in leases}
    }
    for lease, expired in leases:
        here, gone = holders[lease.holder]
        record = opened.get(lease.build_request_id)
        if not (gone or expired):
            continue
        if lease.owner and record is not None and record.status == "RECEIVED" and not record.cancel_requested_by:
            left[lease.build_request_id] = lease
        elif gone:
            dead[lease.build_request_id] = Dead("its orchestrator has died", here)
        else:
            dead[lease.build_request_id] = Dead("its orchestrator was not heard of for longer than its lease", here)
    return dead, left


def _is_open(reader: BuildReads, build_request_id: str) -> bool:
    record = reader.build(build_request_id)
    return record is not None and record.status in statuses.BUILD.open
