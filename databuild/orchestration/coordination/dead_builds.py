"""Dead builds: builds whose orchestrators have died without writing an end.

Imports little, so that commands that only read start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.event_log import liveness as processes
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from databuild.event_log.coordination import Lease
    from databuild.event_log.liveness import Liveness
    from databuild.event_log.reads import BuildReads, OpenBuildReads
    from databuild.model.records import BuildRecord
    from databuild.v1.events_pb2 import BuildEvent

    class BuildEventReads(Protocol):
        """Reads a build and its events."""

        def build(self, build_request_id: str) -> BuildRecord | None: ...

        def events(
            self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000
        ) -> Sequence[BuildEvent]: ...


class Death(NamedTuple):
    """Reason to declare a build dead.

    Attributes:
        fault: The reason, in words.
        on_this_machine: True if processes of the build may still run on this machine.
        holder: The process that has died, as the lease names it; empty if there is no lease.
    """

    fault: str
    on_this_machine: bool
    holder: str = ""


def find_dead_builds(reader: OpenBuildReads, liveness: Liveness = processes) -> dict[str, Death]:
    """Returns the open builds whose orchestrators have died, by id, except those that can be taken over."""
    return _find(reader, liveness)[0]


def find_orphaned_leases(reader: OpenBuildReads, liveness: Liveness = processes) -> dict[str, Lease]:
    """Returns the leases of builds that another process can take over, by build id.

    Their leases have an owner, and their processes died before the builds were admitted. Nothing of them has run, and
    no cancellation was requested.
    """
    return _find(reader, liveness)[1]


def engine_of(reader: BuildEventReads, build_request_id: str) -> str:
    """Returns the address of the engine that runs the jobs of a build; empty for this machine."""
    events = reader.events(build_request_id, limit=1)
    return events[0].build_request.options.executor if events else ""


def next_step(reader: BuildEventReads, build_request_id: str) -> str:
    """Returns the words that say what the next process does with a dead build."""
    build = reader.build(build_request_id)
    engine = engine_of(reader, build_request_id) if build is not None and build.status == "EXECUTING" else ""
    if engine:
        return f"the next build on {engine} with the same code continues it, any other ends it"
    return "the next build ends it"


def _builds(reader: OpenBuildReads, status: str) -> Iterator[BuildRecord]:
    return read_rows(
        lambda newer, limit: reader.builds(status=status, before=newer or None, limit=limit),
        key=lambda build: build.build_request_id,
        start="",
    )


def _find(reader: OpenBuildReads, liveness: Liveness) -> tuple[dict[str, Death], dict[str, Lease]]:
    # Builds are read before leases. The first event of a build is written together with its lease, so each of the
    # builds that are read has a lease, unless it ends in between.
    open_builds = {build.build_request_id: build for status in statuses.BUILD.open for build in _builds(reader, status)}
    leases = reader.leases()
    leased = {lease.build_request_id for lease, _ in leases}
    dead = {
        build: Death("it has no lease", on_this_machine=True)
        for build in open_builds
        if build not in leased and _is_open(reader, build)
    }
    orphaned: dict[str, Lease] = {}
    # A service may hold thousands of leases, so its liveness is checked once.
    holders = {
        holder: (liveness.is_here(holder), liveness.is_gone(holder)) for holder in {lease.holder for lease, _ in leases}
    }
    for lease, expired in leases:
        on_this_machine, gone = holders[lease.holder]
        record = open_builds.get(lease.build_request_id)
        if not (gone or expired):
            continue
        if lease.owner and record is not None and record.status == "RECEIVED" and not record.cancel_requested_by:
            orphaned[lease.build_request_id] = lease
        elif gone:
            dead[lease.build_request_id] = Death("its orchestrator has died", on_this_machine, lease.holder)
        else:
            fault = "its orchestrator has not renewed its lease in time"
            dead[lease.build_request_id] = Death(fault, on_this_machine, lease.holder)
    return dead, orphaned


def _is_open(reader: BuildReads, build_request_id: str) -> bool:
    record = reader.build(build_request_id)
    return record is not None and record.status in statuses.BUILD.open
