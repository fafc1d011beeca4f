"""`cancel BUILD`: asks the orchestrator of a running build to stop it."""

from __future__ import annotations

from databuild.cli.build_ids import find_build
from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.operations import append_operation, author
from databuild.errors import InvalidRequestError
from databuild.orchestration.dead_builds import find_dead
from databuild.orchestration.ids import new_build_request_id
from databuild.v1 import events_pb2 as ev

_ENDS = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


def run(call: Invocation) -> int:
    """Writes the request, which the orchestrator of the build reads."""
    if len(call.positionals) != 1:
        raise UsageError("cancel takes one build", call.command)
    reader = call.reader()
    build = find_build(reader, call.positionals[0])
    if build.status in _ENDS:
        raise InvalidRequestError(f"the build {build.build_request_id} has already ended: {build.status}")
    dead = find_dead(reader).get(build.build_request_id)
    if dead is not None:
        message = (
            f"the build {build.build_request_id} cannot be stopped: {dead.fault}; "
            f"{call.follow_up(f'retry {build.build_request_id}')} goes on from where it was"
        )
        raise InvalidRequestError(message)
    request = ev.CancelRequestEvent(target_build_request_id=build.build_request_id, author=author(call))
    append_operation(call, new_build_request_id(), cancel_request=request)
    if call.json:
        call.out.json({"build_request_id": build.build_request_id, "cancel_requested_by": request.author})
    else:
        status = call.follow_up(f"status {build.build_request_id}")
        call.out.line(f"asked the build {build.build_request_id} to stop; {status} tells when it has")
    return BUILT
