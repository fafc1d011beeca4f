"""`retry [BUILD]`: builds again what a build was asked for."""

from __future__ import annotations

from databuild.cli.backend.backend import BuildOrder
from databuild.cli.backend.build_end import BuildEnd
from databuild.cli.backend.build_flags import build_options
from databuild.cli.backend.building import show_build
from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.build_display import BuildDisplay
from databuild.orchestration.coordination.build_ids import LATEST


def run(call: Invocation) -> int:
    """Starts a new build; what the old one finished is available, and so is not repeated."""
    flags = call.flags
    order = BuildOrder(flags["build_request_id"], build_options(flags))
    old = call.positionals[0] if call.positionals else LATEST

    def retry(display: BuildDisplay) -> BuildEnd:
        return call.backend().retry(old, order, display, failed_jobs_only=flags["failed_jobs_only"])

    return show_build(call, retry)
