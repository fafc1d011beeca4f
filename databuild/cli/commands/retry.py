"""`retry [BUILD]`: builds again what a build was asked for."""

from __future__ import annotations

from databuild.cli.building import build, chosen_id, number_of_jobs
from databuild.cli.invocation import Invocation
from databuild.orchestration.build_ids import find_build
from databuild.orchestration.retry import check_may_be_retried, partitions_to_retry
from databuild.orchestration.settings import BuildRequest


def run(call: Invocation) -> int:
    """Starts a new build; what the old one finished is available, and so is not repeated."""
    if call.server:
        from databuild.cli import remote_building

        return remote_building.retry(call)
    reader = call.reader()
    old = find_build(reader, *call.positionals[:1])
    check_may_be_retried(reader, old)
    requested = partitions_to_retry(reader, old.build_request_id, failed_jobs_only=call.flags["failed_jobs_only"])
    request = BuildRequest(
        build_request_id=chosen_id(call),
        requested=requested,
        jobs=number_of_jobs(call),
        keep_going=call.flags["keep_going"],
        retry_of=old.build_request_id,
    )
    return build(call, call.catalog(), request)
