"""`cancel BUILD`: asks the orchestrator of a running build to stop it."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.full_parse import UsageError


def run(call: Invocation) -> int:
    """Writes the request, which the orchestrator of the build reads."""
    if len(call.positionals) != 1:
        raise UsageError("cancel takes one build", call.command)
    build, author = call.backend().cancel(call.positionals[0])
    if call.json:
        call.out.json({"build_request_id": build, "cancel_requested_by": author})
    else:
        status = call.follow_up(f"status {build}")
        call.out.line(f"asked the build {build} to stop; {status} tells when it has")
    return BUILT
