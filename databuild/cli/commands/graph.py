"""`graph [PARTITION...]`: draws the whole graph by job, or the job graph that produces partitions."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.exit_codes import BUILT
from databuild.graph.graph_rendering import graph_as_dot, graph_as_mermaid, graph_as_svg
from databuild.graph.render import render_dot, render_mermaid, render_svg


def run(call: Invocation) -> int:
    """Prints the whole graph or, with partitions, the job graph of a build that finds no partition available."""
    form = call.flags["format"]
    if call.positionals:
        plan = call.backend().plan_without_records(call.positionals)
        picture = {"mermaid": render_mermaid, "dot": render_dot, "svg": render_svg}[form](plan)
    else:
        view = call.backend().graph()
        picture = {"mermaid": graph_as_mermaid, "dot": graph_as_dot, "svg": graph_as_svg}[form](view)
    call.out.write(picture)
    return BUILT
