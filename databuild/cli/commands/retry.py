"""`retry [BUILD]`: builds again what a build was asked for."""

from __future__ import annotations

from databuild.cli.build_ids import find_build
from databuild.cli.building import build, chosen_id, number_of_jobs
from databuild.cli.invocation import Invocation
from databuild.errors import InvalidRequestError
from databuild.orchestration.dead_builds import find_dead
from databuild.orchestration.retry import partitions_to_retry
from databuild.orchestration.settings import BuildRequest

_ENDS = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


def run(call: Invocation) -> int:
    """Starts a new build; what the old one finished is available, and so is not repeated."""
    reader = call.reader()
    old = find_build(reader, *call.positionals[:1])
    # What is dead without an end gets one from the build that begins now.
    if old.status not in _ENDS and old.build_request_id not in find_dead(reader):
        raise InvalidRequestError(f"the build {old.build_request_id} has not ended: {old.status}; cancel it first")
    requested = partitions_to_retry(reader, old.build_request_id, failed_jobs_only=call.flags["failed_jobs_only"])
    request = BuildRequest(
        build_request_id=chosen_id(call),
        requested=requested,
        jobs=number_of_jobs(call),
        keep_going=call.flags["keep_going"],
        retry_of=old.build_request_id,
    )
    return build(call, call.catalog(), request)
