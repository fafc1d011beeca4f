"""`report [BUILD]`: prints a report about a build."""

from __future__ import annotations

from databuild.cli.backend.build_reports import build_report
from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.exit_codes import BUILT
from databuild.reports.report_formats import render


def run(call: Invocation) -> int:
    build = call.backend().find_build(call.one_build())
    call.out.write(render(build_report(call, build), call.flags["format"]))
    return BUILT
