"""Job graph of a plan as Mermaid or DOT text, or as SVG; large ones have one node per job instead of task."""

from __future__ import annotations

from collections import Counter
from typing import Final

from databuild.drawing.job_graph import DrawnTask, draw_job_graph
from databuild.model.job_graph import Plan

MAX_TEXT_TASKS: Final = 200
"""Maximum number of tasks that are drawn one by one as text."""


def render_mermaid(plan: Plan) -> str:
    nodes, edges = _drawing(plan)
    lines = ["flowchart LR"]
    lines += [f'  {name}["{mermaid_text(label)}"]' for name, label in nodes]
    lines += [f"  {upstream} --> {downstream}" for upstream, downstream in edges]
    return "\n".join(lines) + "\n"


def render_dot(plan: Plan) -> str:
    nodes, edges = _drawing(plan)
    lines = ["digraph {", "  rankdir=LR; node [shape=box];"]
    lines += [f'  {name} [label="{dot_text(label)}"];' for name, label in nodes]
    lines += [f"  {upstream} -> {downstream};" for upstream, downstream in edges]
    return "\n".join([*lines, "}"]) + "\n"


def render_svg(plan: Plan) -> str:
    """Returns the text of an SVG file."""
    tasks = [DrawnTask(task.task_id, task.job_label, task.config.outputs, task.upstream) for task in plan.tasks]
    return draw_job_graph(tasks, title=f"Job graph of {plan.graph_label}", style=True)


def _drawing(plan: Plan) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    if len(plan.tasks) <= MAX_TEXT_TASKS:
        nodes = [(f"t{task.task_id}", f"{task.job_label}\n{_outputs(task.config.outputs)}") for task in plan.tasks]
        edges = [(f"t{upstream}", f"t{task.task_id}") for task in plan.tasks for upstream in task.upstream]
        return nodes, edges
    labels = {task.task_id: task.job_label for task in plan.tasks}
    counts = Counter(labels.values())
    names = {label: f"j{number}" for number, label in enumerate(sorted(counts), 1)}
    job_edges = {(labels[upstream], task.job_label) for task in plan.tasks for upstream in task.upstream}
    return (
        [
            (names[label], f"{label}\n{count} {'task' if count == 1 else 'tasks'}")
            for label, count in sorted(counts.items())
        ],
        [(names[upstream], names[downstream]) for upstream, downstream in sorted(job_edges)],
    )


def _outputs(outputs: tuple[str, ...]) -> str:
    return outputs[0] if len(outputs) == 1 else f"{outputs[0]} and {len(outputs) - 1} more"


def dot_text(label: str) -> str:
    """Returns a text for a quoted string of DOT."""
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def mermaid_text(label: str) -> str:
    """Returns a text for a quoted string of Mermaid."""
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("\n", "<br/>")):
        label = label.replace(character, entity)
    return label
