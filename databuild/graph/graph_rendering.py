"""A whole graph by job as Mermaid or DOT text, or as SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from databuild.drawing.whole_graph import DrawnInput, DrawnJob, draw_graph
from databuild.graph.render import dot_text, mermaid_text
from databuild.model.graph_view import INPUT, OPTIONAL, GraphEdge, GraphJob, GraphView
from databuild.tuples import NamedTuple

_STATES: Final = {
    "AVAILABLE": "available",
    "DELEGATED": "available",
    "FAILED": "failed",
    "BUILDING": "building",
    "MISSING": "missing",
    "FORGOTTEN": "missing",
    "DELETED": "missing",
    "TAINTED": "tainted",
}
"""The state of drawings for each status; `pending` for others."""


class _Node(NamedTuple):
    name: str
    label: str
    external: bool


class _Connection(NamedTuple):
    """All edges between two nodes."""

    source: str
    target: str
    label: str
    kinds: frozenset[str]


def graph_as_mermaid(view: GraphView) -> str:
    names = _names(view)
    lines = ["flowchart LR"]
    for node in _nodes(view, names):
        opening, closing = ('(["', '"])') if node.external else ('["', '"]')
        lines.append(f"  {node.name}{opening}{mermaid_text(node.label)}{closing}")
    for edge in _connections(view, names):
        arrow = "-->" if INPUT in edge.kinds else "-.->"
        text = f'|"{mermaid_text(edge.label)}"|' if edge.label else ""
        lines.append(f"  {edge.source} {arrow}{text} {edge.target}")
    return "\n".join(lines) + "\n"


def graph_as_dot(view: GraphView) -> str:
    names = _names(view)
    lines = ["digraph {", "  rankdir=LR; node [shape=box];"]
    for node in _nodes(view, names):
        style = ", style=dashed" if node.external else ""
        lines.append(f'  {node.name} [label="{dot_text(node.label)}"{style}];')
    for edge in _connections(view, names):
        style = "" if INPUT in edge.kinds else ", style=dashed" if OPTIONAL in edge.kinds else ", style=dotted"
        lines.append(f'  {edge.source} -> {edge.target} [label="{dot_text(edge.label)}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


def graph_as_svg(view: GraphView, *, link: Callable[[str], str] | None = None, style: bool = True) -> str:
    """Draws a graph, with the counts that it has.

    Args:
        view: The graph.
        link: Returns the URL of a job, by label; None for no links.
        style: True to embed the style sheet.
    """
    jobs = [_drawn_job(job, link(job.job_label) if link else "") for job in view.jobs]
    inputs = [
        DrawnInput(
            edge.external_input or edge.upstream_job_label,
            edge.job_label,
            edge.label,
            faint=edge.kind != INPUT,
            external=edge.external_input != "",
        )
        for edge in view.edges
    ]
    return draw_graph(jobs, inputs, title=f"Graph {view.graph_label}", style=style)


def states_of(counts: Mapping[str, int]) -> Counter[str]:
    """Returns counts by status as counts by state of drawings."""
    states: Counter[str] = Counter()
    for status, count in counts.items():
        states[_STATES.get(status, "pending")] += count
    return states


def _drawn_job(job: GraphJob, link: str) -> DrawnJob:
    if job.counts is None:
        return DrawnJob(job.job_label, job.outputs, job.declared, link=link)
    counts = states_of(job.counts.by_status)
    return DrawnJob(job.job_label, job.outputs, job.declared, counts, job.counts.complete, link)


def _names(view: GraphView) -> dict[tuple[str, bool], str]:
    """Returns the name of each node in the text, by its label or pattern and whether it is external."""
    jobs = {(job.job_label, False): f"j{number}" for number, job in enumerate(view.jobs, 1)}
    return jobs | {(name, True): f"x{number}" for number, name in enumerate(view.external_inputs, 1)}


def _nodes(view: GraphView, names: Mapping[tuple[str, bool], str]) -> Iterator[_Node]:
    for job in view.jobs:
        lines = [job.job_label, *job.outputs, *([] if job.declared else ["inputs known when planned"])]
        yield _Node(names[job.job_label, False], "\n".join(lines), external=False)
    for name in view.external_inputs:
        yield _Node(names[name, True], f"{name}\nexternal input", external=True)


def _connections(view: GraphView, names: Mapping[tuple[str, bool], str]) -> Iterator[_Connection]:
    between: dict[tuple[str, str], list[GraphEdge]] = {}
    for edge in view.edges:
        source = names[edge.external_input or edge.upstream_job_label, edge.external_input != ""]
        between.setdefault((source, names[edge.job_label, False]), []).append(edge)
    for (source, target), edges in between.items():
        label = ", ".join(dict.fromkeys(edge.label for edge in edges))
        yield _Connection(source, target, label, frozenset(edge.kind for edge in edges))
