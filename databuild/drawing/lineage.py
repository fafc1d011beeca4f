"""What a partition was made from and what was made from it, as a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from databuild.drawing.boxes import Box, draw_boxes
from databuild.drawing.states import STATES
from databuild.drawing.svg import below_heading, document, heading

MAX_PARTITIONS: Final = 60
"""How many partitions are drawn at most: the nearest."""


class Step(NamedTuple):
    """One partition that was made from another.

    Attributes:
        input: The ref of what was read.
        output: The ref of what was made from it.
        query: Whether the input was only read, and so cannot make the output stale.
    """

    input: str
    output: str
    query: bool = False


def draw_lineage(
    ref: str,
    steps: Sequence[Step],
    *,
    states: Mapping[str, str] | None = None,
    link: Callable[[str], str] | None = None,
    complete: bool = True,
    style: bool = False,
) -> str:
    """Draws the lineage of a partition: what it was made from at its left, what was made from it at its right.

    Args:
        ref: The partition.
        steps: What is known, nearest first.
        states: The states of partitions, as far as they are known, by ref.
        link: Returns where the node of a ref leads to.
        complete: Whether there are no more steps than these.
        style: Whether the style sheet is embedded.
    """
    places = _places(ref, steps)
    edges = {
        (places[step.input], places[step.output]): step.query
        for step in steps
        if step.input in places and step.output in places
    }
    known = states or {}
    boxes = [_box(one, known.get(one, ""), link(one) if link else "", asked=one == ref) for one in places]
    said = [f"{len(places):,} {'partition' if len(places) == 1 else 'partitions'}"]
    if not complete or any(end not in places for step in steps for end in step[:2]):
        said[0] += ", the nearest of more"
    faint = {edge for edge, query in edges.items() if query}
    if faint:
        said[0] += "; dotted: only read"
    title = f"Lineage of {ref}"
    picture = draw_boxes(boxes, edges, top=below_heading(said), faint=faint)
    width = max(picture.width, 400.0)
    parts = [*heading(title, said, width), *picture.parts]
    return document("lineage", title, said[0], parts, width, picture.height, style=style)


def _places(ref: str, steps: Sequence[Step]) -> dict[str, int]:
    places = {ref: 0}
    for step in steps:
        for end in step[:2]:
            if len(places) < MAX_PARTITIONS:
                places.setdefault(end, len(places))
    return places


def _box(ref: str, state: str, link: str, *, asked: bool) -> Box:
    name, _, rest = ref.partition("/")
    title = f"{ref} ({STATES[state].word})" if state else ref
    return Box(name, (rest,) if rest else (), state or "planned", title, link, asked=asked)
