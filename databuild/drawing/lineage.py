"""Lineage of a partition as a graph: its inputs at the left, and the partitions that used it at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from databuild.drawing.boxes import Box, draw_boxes
from databuild.drawing.svg import document, heading, heading_bottom

MAX_PARTITIONS: Final = 60
"""Maximum number of partitions; the nearest are drawn."""


class Step(NamedTuple):
    """An edge of the lineage: an input and an output of one job run.

    Attributes:
        input: The ref of the input.
        output: The ref of the output.
        query: True for a QUERY input, which never makes the output stale.
    """

    input: str
    output: str
    query: bool = False


def draw_lineage(
    ref: str,
    steps: Sequence[Step],
    *,
    link: Callable[[str], str] | None = None,
    complete: bool = True,
) -> str:
    """Draws the lineage of a partition.

    Args:
        ref: The partition.
        steps: The edges of the lineage, nearest first.
        link: Returns the URL of a partition.
        complete: False if the lineage has more edges than `steps`.
    """
    nodes = _nodes(ref, steps)
    edges = {
        (nodes[step.input], nodes[step.output]): step.query
        for step in steps
        if step.input in nodes and step.output in nodes
    }
    boxes = [_box(node, link(node) if link else "", subject=node == ref) for node in nodes]
    summary = f"{len(nodes):,} {'partition' if len(nodes) == 1 else 'partitions'}"
    if not complete or any(end not in nodes for step in steps for end in step[:2]):
        summary += ", the nearest of more"
    faint = {edge for edge, query in edges.items() if query}
    if faint:
        summary += "; dotted: only read"
    title = f"Lineage of {ref}"
    picture = draw_boxes(boxes, edges, top=heading_bottom([summary]), faint=faint)
    width = max(picture.width, 400.0)
    parts = [*heading(title, [summary], width), *picture.parts]
    return document("lineage", title, summary, parts, width, picture.height)


def _nodes(ref: str, steps: Sequence[Step]) -> dict[str, int]:
    """Returns the index of each drawn partition, by ref."""
    nodes = {ref: 0}
    for step in steps:
        for end in step[:2]:
            if len(nodes) < MAX_PARTITIONS:
                nodes.setdefault(end, len(nodes))
    return nodes


def _box(ref: str, link: str, *, subject: bool) -> Box:
    name, _, rest = ref.partition("/")
    return Box(name, (rest,) if rest else (), "planned", ref, link, subject=subject)
