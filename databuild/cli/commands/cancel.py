"""`cancel BUILD`: asks the orchestrator of a running build to stop it."""

from __future__ import annotations

from databuild.cli.author import author
from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.operations import append_operation
from databuild.orchestration.build_ids import find_build
from databuild.orchestration.operations import cancel_request


def run(call: Invocation) -> int:
    """Writes the request, which the orchestrator of the build reads."""
    if len(call.positionals) != 1:
        raise UsageError("cancel takes one build", call.command)
    build, asked = _ask(call, call.positionals[0])
    if call.json:
        call.out.json({"build_request_id": build, "cancel_requested_by": asked})
    else:
        status = call.follow_up(f"status {build}")
        call.out.line(f"asked the build {build} to stop; {status} tells when it has")
    return BUILT


def _ask(call: Invocation, text: str) -> tuple[str, str]:
    """Returns the id of the build, and who is recorded to have asked."""
    if call.server:
        told = call.remote().client.cancel(text).build
        return told.build_request_id, told.cancel_requested_by
    reader = call.reader()
    build = find_build(reader, text)
    event = cancel_request(reader, build, author(call))
    append_operation(call, event)
    return build.build_request_id, event.cancel_request.author
