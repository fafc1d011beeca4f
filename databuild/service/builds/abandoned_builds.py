"""Builds in the queue of a service that has died. Another service over the same event log resumes them."""

from __future__ import annotations

from collections.abc import Sequence

from databuild.event_log import liveness as processes
from databuild.event_log.liveness import Liveness
from databuild.event_log.reads import OpenBuildReads
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.dead_builds import find_orphaned_leases
from databuild.service.builds.requests import recorded_request
from databuild.tuples import NamedTuple


class AbandonedBuild(NamedTuple):
    """A build that was received and has run nothing.

    Attributes:
        request: The request.
        submitter: The name of the caller.
        former_holder: The process that has died, as its lease names it.
    """

    request: BuildRequest
    submitter: str
    former_holder: str


def find_abandoned_builds(
    reader: OpenBuildReads, graph_label: str, liveness: Liveness = processes
) -> Sequence[AbandonedBuild]:
    """Returns the abandoned builds of a graph, in the order in which they were received."""
    leases = find_orphaned_leases(reader, liveness)
    candidates = [(record, lease) for build, lease in leases.items() if (record := reader.build(build))]
    candidates.sort(key=lambda candidate: (candidate[0].received_time, candidate[0].build_request_id))
    # A service resumes builds of its own graph only. Several graphs may share an event log.
    return [
        AbandonedBuild(request, lease.owner, lease.holder)
        for record, lease in candidates
        if record.graph_label == graph_label and (request := recorded_request(reader, record.build_request_id))
    ]
