"""`graph [PARTITION...]`: the job graph that produces partitions, drawn as text or as a picture."""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT
from databuild.cli.invocation import Invocation
from databuild.cli.partitions import requested_partitions
from databuild.cli.planning import NothingKnown, plan_for
from databuild.graph.render import render_dot, render_mermaid
from databuild.model.job_graph import Plan


def run(call: Invocation) -> int:
    """Prints the whole job graph, whatever of it is available already."""
    plan = plan_for(call, requested_partitions(call), reader=NothingKnown())
    draw = {"mermaid": render_mermaid, "dot": render_dot, "svg": _render_svg}[call.flags["format"]]
    call.out.write(draw(plan))
    return BUILT


def _render_svg(plan: Plan) -> str:
    from databuild.drawing.job_graph import DrawnTask, draw_job_graph

    tasks = [DrawnTask(task.task_id, task.job_label, task.config.outputs, task.upstream) for task in plan.tasks]
    return draw_job_graph(tasks, title=f"Job graph of {plan.graph_label}", style=True)
