"""`graph [PARTITION...]`: the job graph that produces partitions, drawn as text."""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT
from databuild.cli.invocation import Invocation
from databuild.cli.partitions import requested_partitions
from databuild.cli.planning import NothingKnown, plan_for
from databuild.graph.render import render_dot, render_mermaid


def run(call: Invocation) -> int:
    """Prints the whole job graph, whatever of it is available already."""
    plan = plan_for(call, requested_partitions(call), reader=NothingKnown())
    draw = render_dot if call.flags["format"] == "dot" else render_mermaid
    call.out.write(draw(plan))
    return BUILT
