"""`retry [BUILD]`: builds again what a build was asked for."""

from __future__ import annotations

from databuild.cli.backend.build_end import BuildEnd
from databuild.cli.backend.building import build_order, show_build
from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.build_display import BuildDisplay
from databuild.orchestration.coordination.build_ids import LATEST


def run(call: Invocation) -> int:
    """Starts a new build; what the old one finished is available, and so is not repeated."""
    old = call.positionals[0] if call.positionals else LATEST

    def retry(display: BuildDisplay) -> BuildEnd:
        failed_jobs_only = call.flags["failed_jobs_only"]
        return call.backend().retry(old, build_order(call), display, failed_jobs_only=failed_jobs_only)

    return show_build(call, retry)
