"""Builds that waited in the queue of a service that has died, for one that goes on with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from databuild.event_log.reads import OpenBuildReads
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.dead_builds import find_orphaned_leases
from databuild.service.builds.requests import recorded_request


class LeftBuild(NamedTuple):
    """A build that was received, and of which nothing has run.

    Attributes:
        request: What was asked for.
        submitter: Who asked.
        left_by: The process that has died, as the holder of a lease is named.
    """

    request: BuildRequest
    submitter: str
    left_by: str


def left_builds(reader: OpenBuildReads, graph_label: str) -> Sequence[LeftBuild]:
    """Returns the builds of a graph that were left, in the order in which they were received."""
    found = [
        (record, lease) for build, lease in find_orphaned_leases(reader).items() if (record := reader.build(build))
    ]
    found.sort(key=lambda one: (one[0].received_time, one[0].build_request_id))
    return [
        LeftBuild(request, lease.owner, lease.holder)
        for record, lease in found
        if record.graph_label == graph_label and (request := recorded_request(reader, record.build_request_id))
    ]
