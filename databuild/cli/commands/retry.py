"""`retry [BUILD]`: requests the partitions of an earlier build again."""

from __future__ import annotations

from databuild.cli.backend.backend import BuildOrder
from databuild.cli.backend.build_flags import build_options
from databuild.cli.backend.build_outcome import BuildOutcome
from databuild.cli.backend.build_session import show_build
from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.build_display import BuildDisplay


def run(call: Invocation) -> int:
    """Runs a new build. Partitions that the old one finished are available, so they are not built again."""
    flags = call.flags
    order = BuildOrder(flags["build_request_id"], build_options(flags))
    old = call.one_build()

    def retry(display: BuildDisplay) -> BuildOutcome:
        return call.backend().retry(old, order, display, failed_jobs_only=flags["failed_jobs_only"])

    return show_build(call, retry)
