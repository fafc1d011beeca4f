"""`cancel BUILD`: asks the orchestrator of a running build to stop it."""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.operations import append_operation, author
from databuild.orchestration.build_ids import find_build
from databuild.orchestration.operations import cancel_request


def run(call: Invocation) -> int:
    """Writes the request, which the orchestrator of the build reads."""
    if len(call.positionals) != 1:
        raise UsageError("cancel takes one build", call.command)
    reader = call.reader()
    build = find_build(reader, call.positionals[0])
    event = cancel_request(reader, build, author(call))
    append_operation(call, event)
    if call.json:
        asked = event.cancel_request.author
        call.out.json({"build_request_id": build.build_request_id, "cancel_requested_by": asked})
    else:
        status = call.follow_up(f"status {build.build_request_id}")
        call.out.line(f"asked the build {build.build_request_id} to stop; {status} tells when it has")
    return BUILT
