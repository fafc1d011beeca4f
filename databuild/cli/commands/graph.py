"""`graph [PARTITION...]`: draws the job graph that produces partitions, as text or as a picture."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.local_plan import NoRecords, plan_for
from databuild.cli.backend.requested_partitions import requested_partitions
from databuild.cli.flags.exit_codes import BUILT
from databuild.graph.render import render_dot, render_mermaid, render_svg


def run(call: Invocation) -> int:
    """Prints the job graph of a build that finds no partition available."""
    plan = plan_for(call, requested_partitions(call, call.positionals), reader=NoRecords())
    draw = {"mermaid": render_mermaid, "dot": render_dot, "svg": render_svg}[call.flags["format"]]
    call.out.write(draw(plan))
    return BUILT
