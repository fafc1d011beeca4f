"""Drawing of a whole graph: jobs with their patterns and counts, external inputs, and mappings on the edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from databuild.drawing.boxes import COLUMNS, COUNT_COLUMNS, Box, draw_boxes
from databuild.drawing.layers import Edge
from databuild.drawing.layout import MAX_NODES
from databuild.drawing.states import counts_text, most_severe
from databuild.drawing.svg import document, heading, heading_bottom
from databuild.drawing.text import job_name, shorten

_MIN_WIDTH: Final = 560.0
_UNKNOWN_INPUTS: Final = "inputs known when planned"


class DrawnJob(NamedTuple):
    """A job to draw.

    Attributes:
        job_label: Its label, by which edges name it.
        outputs: Its partition patterns.
        declared: False if only planning knows its inputs.
        counts: The number of its partitions by state, one of STATES; None to draw no state.
        complete: False if there may be more partitions than `counts` has.
        link: The URL of its node; empty for none.
    """

    job_label: str
    outputs: tuple[str, ...]
    declared: bool = True
    counts: Mapping[str, int] | None = None
    complete: bool = True
    link: str = ""


class DrawnInput(NamedTuple):
    """An edge to draw.

    Attributes:
        source: The label of a job, or an external input.
        job_label: The label of the job that has the input.
        label: The text on the edge; empty for none.
        faint: True for an input that the job may do without, or that builds have recorded.
        external: True if `source` is an external input.
    """

    source: str
    job_label: str
    label: str = ""
    faint: bool = False
    external: bool = False


class _Node(NamedTuple):
    """The key of a job or an external input, which may have equal texts."""

    name: str
    external: bool


def draw_graph(
    jobs: Sequence[DrawnJob], inputs: Sequence[DrawnInput], *, title: str = "Graph", style: bool = False
) -> str:
    """Draws a graph by job.

    If there are more nodes than a layout may have, texts on edges are left out, then external inputs, then jobs.

    Args:
        jobs: The jobs.
        inputs: The edges. Those between the same two nodes are drawn as one.
        title: The title of the drawing.
        style: True to embed the style sheet.
    """
    drawn_jobs = _most_relevant(jobs)
    merged = _merged(inputs)
    job_nodes = {_Node(job.job_label, external=False): job for job in drawn_jobs}
    external = [source for source in dict.fromkeys(source for source, _ in merged) if source.external]
    # The layout follows edges from the first nodes on, so that an edge that closes a cycle leads back from later ones.
    nodes = [*external[: MAX_NODES - len(job_nodes)], *job_nodes]
    indices = {node: index for index, node in enumerate(nodes)}
    loops = {target: labels for (source, target), labels in merged.items() if source == target}
    boxes = [
        _job_box(job_nodes[node], loops.get(node)) if node in job_nodes else _external_box(node.name) for node in nodes
    ]
    connections = {
        (indices[source], indices[target]): (source, target)
        for source, target in merged
        if source != target and source in indices and target in indices
    }
    edges, faint = _connect(boxes, connections, merged)
    summary = _summary(jobs, len(drawn_jobs), len(external), faint=bool(faint))
    picture = draw_boxes(boxes, edges, top=heading_bottom(summary), faint=faint)
    width = max(picture.width, _MIN_WIDTH)
    parts = [*heading(title, summary, width), *picture.parts]
    return document("whole-graph", title, "; ".join(summary), parts, width, picture.height, style=style)


def _most_relevant(jobs: Sequence[DrawnJob]) -> list[DrawnJob]:
    """Returns as many jobs as a layout may have: those with failures first, then those with the most partitions."""
    if len(jobs) <= MAX_NODES:
        return list(jobs)
    counts = {job.job_label: Counter(job.counts or {}) for job in jobs}
    ranked = sorted(
        counts, key=lambda label: (-counts[label]["failed"], -counts[label]["tainted"], -counts[label].total(), label)
    )
    shown = set(ranked[:MAX_NODES])
    return [job for job in jobs if job.job_label in shown]


def _merged(inputs: Sequence[DrawnInput]) -> dict[tuple[_Node, _Node], list[DrawnInput]]:
    """Returns the edges by their ends."""
    merged: dict[tuple[_Node, _Node], list[DrawnInput]] = {}
    for drawn in inputs:
        ends = _Node(drawn.source, drawn.external), _Node(drawn.job_label, external=False)
        merged.setdefault(ends, []).append(drawn)
    return merged


def _connect(
    boxes: list[Box],
    connections: Mapping[Edge, tuple[_Node, _Node]],
    merged: Mapping[tuple[_Node, _Node], Sequence[DrawnInput]],
) -> tuple[list[Edge], set[Edge]]:
    """Returns all edges and the faint ones. A text on an edge is a box of its own, which no other box can cover."""
    texts = {edge: _edge_text(merged[ends]) for edge, ends in connections.items()}
    with_texts = len(boxes) + sum(map(bool, texts.values())) <= MAX_NODES
    edges: list[Edge] = []
    faint: set[Edge] = set()
    for (source, target), ends in connections.items():
        text = texts[source, target]
        pieces = [(source, target)]
        if text and with_texts:
            title = f"{ends[0].name} to {ends[1].name}: {text}"
            boxes.append(Box(text, (), "planned", title, bare=True))
            pieces = [(source, len(boxes) - 1), (len(boxes) - 1, target)]
        edges += pieces
        if all(drawn.faint for drawn in merged[ends]):
            faint.update(pieces)
    return edges, faint


def _edge_text(inputs: Sequence[DrawnInput]) -> str:
    return ", ".join(dict.fromkeys(drawn.label for drawn in inputs if drawn.label))


def _job_box(job: DrawnJob, loops: Sequence[DrawnInput] | None) -> Box:
    more = f" +{len(job.outputs) - 1:,}" if len(job.outputs) > 1 else ""
    lines = [shorten(job.outputs[0], COLUMNS - len(more)) + more if job.outputs else "outputs known to the lookup"]
    facts = [", ".join(job.outputs) or "outputs known to the lookup"]
    if loops:
        lines.append(f"from itself: {_edge_text(loops)}".removesuffix(": "))
        facts.append(lines[-1])
    if not job.declared:
        lines.append(_UNKNOWN_INPUTS)
        facts.append(_UNKNOWN_INPUTS)
    state = "planned"
    counts: tuple[str, ...] = ()
    if job.counts is not None:
        facts.append(f"{'' if job.complete else 'at least '}{counts_text(job.counts) or 'no partitions'}")
        counts = _wrapped(facts[-1])
        state = most_severe(job.counts)
    title = f"{job.job_label}: {'; '.join(facts)}"
    return Box(job_name(job.job_label), tuple(lines), state, title, job.link, loop=bool(loops), counts=counts)


def _wrapped(text: str) -> tuple[str, ...]:
    """Divides counts into lines after commas."""
    lines: list[str] = []
    for word in text.split(", "):
        if lines and len(lines[-1]) + len(word) + 3 <= COUNT_COLUMNS:
            lines[-1] += f", {word}"
        else:
            lines = [*lines[:-1], *(f"{line}," for line in lines[-1:]), word]
    return tuple(lines)


def _external_box(name: str) -> Box:
    first, _, rest = name.partition("/")
    lines = (rest, "external input") if rest else ("external input",)
    return Box(first, lines, "planned", f"{name}: external input, which no job of the graph produces", external=True)


def _summary(jobs: Sequence[DrawnJob], drawn: int, external: int, *, faint: bool) -> list[str]:
    counts = [_counted(len(jobs), "job")]
    if external:
        counts.append(_counted(external, "external input"))
    if drawn < len(jobs):
        counts.append(f"{len(jobs) - drawn:,} more jobs are not shown")
    return [", ".join(counts), *(["dotted: optional, only read, or recorded by builds"] if faint else [])]


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
