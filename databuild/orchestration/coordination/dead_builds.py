"""Dead builds: builds whose orchestrators have died without writing an end.

Imports little, so that commands that only read start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.event_log import liveness as processes
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from databuild.event_log.coordination import Lease
    from databuild.event_log.liveness import Liveness
    from databuild.event_log.reads import OpenBuildReads
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


def _find(reader: OpenBuildReads, liveness: Liveness) -> tuple[dict[str, Death], dict[str, Lease]]:
    # Every build calls this when it starts. Few queries, and no rows of builds that are alive: a service may have
    # thousands in its queue.
    dead = {build: Death("it has no lease", on_this_machine=True) for build in reader.unleased_builds()}
    orphaned: dict[str, Lease] = {}
    holders = reader.holders()
    gone = {holder for holder in holders if liveness.is_gone(holder)}
    suspects = [holder for holder, lapsed in holders.items() if lapsed or holder in gone]
    if not suspects:
        return dead, orphaned

    def lapsed_leases() -> Iterator[Lease]:
        return (lease for lease, expired in reader.leases(suspects) if expired or lease.holder in gone)

    # Builds are read before the leases that count. Another process that takes a build over changes its lease before its
    # status, so that a build which is not RECEIVED any more, and has a lapsed lease after that, is dead.
    builds = {lease.build_request_id: reader.build(lease.build_request_id) for lease in lapsed_leases() if lease.owner}
    for lease in lapsed_leases():
        if lease.owner and lease.build_request_id not in builds:
            continue  # it has been received since
        if lease.owner and _may_be_taken_over(builds[lease.build_request_id]):
            orphaned[lease.build_request_id] = lease
            continue
        fault = (
            "its orchestrator has died"
            if lease.holder in gone
            else "its orchestrator has not renewed its lease in time"
        )
        dead[lease.build_request_id] = Death(fault, liveness.is_here(lease.holder), lease.holder)
    return dead, orphaned


def _may_be_taken_over(build: BuildRecord | None) -> bool:
    return build is not None and build.status == "RECEIVED" and not build.cancel_requested_by
