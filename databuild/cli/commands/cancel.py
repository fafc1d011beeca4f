"""`cancel BUILD`: asks a running build to stop."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError


def run(call: Invocation) -> int:
    """Records the request. The orchestrator of the build reads it and stops, which this command does not wait for."""
    if len(call.positionals) != 1:
        raise UsageError(f"cancel takes one BUILD, not {len(call.positionals)}", call.command)
    build, author = call.backend().cancel(call.positionals[0])
    if call.json:
        call.out.json({"build_request_id": build, "cancel_requested_by": author})
    else:
        status = call.follow_up(f"status {build}")
        call.out.line(f"asked build {build} to stop; {status} shows its state")
    return BUILT
