"""Layered layout of a graph from left to right, after Sugiyama, Tagawa and Toda (1981).

Knows sizes and edges only, not the contents of nodes. The layout is deterministic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from databuild.drawing.coordinates import assign_heights
from databuild.drawing.layers import Edge, assign_layers, without_cycles
from databuild.drawing.ordering import order_layers

MAX_NODES: Final = 300
"""Maximum number of nodes of a layout."""

_NODE_GAP: Final = 18.0
_BEND_GAP: Final = 9.0
_MIN_LAYER_GAP: Final = 44.0
_MAX_LAYER_GAP: Final = 160.0

_MAX_BENDS: Final = 4000
"""Bounds the time of a layout. Further edges are straight lines, which may cross nodes."""


class Frame(NamedTuple):
    """The top left corner and the size of a node."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The height of the middle."""
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width


class Direction(NamedTuple):
    """Direction and kind of an edge.

    Attributes:
        forward: True if the edge leads from left to right.
        back: True if the edge leads from right to left, since it closes a cycle. Two edges may share one line.
        faint: True if the edge is drawn faint.
    """

    forward: bool
    back: bool
    faint: bool


class Segment(NamedTuple):
    """A piece of an edge, or of several edges from the same node.

    Attributes:
        source: The node at the left end of the edge.
        target: The node at the right end of the segment; -1 if the segment ends in a bend.
        start: The left point.
        end: The right point.
        direction: The direction of the edge.
    """

    source: int
    target: int
    start: tuple[float, float]
    end: tuple[float, float]
    direction: Direction


class Layout(NamedTuple):
    """The layout of a graph on a canvas that begins at (0, 0)."""

    width: float
    height: float
    frames: tuple[Frame, ...]
    segments: tuple[Segment, ...]


def lay_out(
    sizes: Sequence[tuple[float, float]], edges: Iterable[Edge], *, faint: Collection[Edge] = frozenset()
) -> Layout:
    """Computes the layout of a graph.

    Args:
        sizes: The width and height of each node.
        edges: Pairs of upstream and downstream node, by index in `sizes`. Loops are ignored.
        faint: The edges that are drawn faint, which share no line with others.

    Raises:
        ValueError: There are more nodes than `MAX_NODES`.
    """
    if len(sizes) > MAX_NODES:
        raise ValueError(f"the graph has {len(sizes)} nodes; a layout has at most {MAX_NODES}")
    if not sizes:
        return Layout(0.0, 0.0, (), ())
    given = {edge for edge in edges if edge[0] != edge[1]}
    forward, back = without_cycles(len(sizes), sorted(given))
    kept = given - back
    directions = {
        edge: Direction(
            edge in kept, edge[::-1] in back, faint=edge in faint or (edge not in kept and edge[::-1] in faint)
        )
        for edge in forward
    }
    graph = _LayeredGraph(assign_layers(len(sizes), forward), directions)
    order_layers(graph.layers, graph.before, graph.after)
    heights = [height + _NODE_GAP for _, height in sizes] + [_BEND_GAP] * (len(graph.before) - len(sizes))
    middles = assign_heights(graph.layers, graph.before, graph.after, heights, len(sizes))
    columns = _columns(graph, sizes, middles)
    frames = tuple(
        Frame(columns[graph.layer_of[node]][0], middles[node] - height / 2, width, height)
        for node, (width, height) in enumerate(sizes)
    )
    bottom = max(middle + height / 2 for middle, height in zip(middles, heights, strict=True))
    return Layout(columns[-1][1], bottom, frames, tuple(_segments(graph, frames, columns, middles)))


class _LayeredGraph:
    """Nodes and bends of edges, each with its neighbours in the adjacent layers.

    An edge across several layers has a bend in each of them. Edges from the same node share their bends.
    """

    def __init__(self, layer_of: list[int], directions: Mapping[Edge, Direction]) -> None:
        self.nodes = len(layer_of)
        self.layer_of = layer_of
        self.directions = directions
        self.edge_of: list[Edge] = [(node, -1) for node in range(self.nodes)]
        self.before: list[list[int]] = [[] for _ in layer_of]
        self.after: list[list[int]] = [[] for _ in layer_of]
        self.direct: list[Edge] = []
        self._bends: dict[tuple[int, int, Direction], int] = {}
        # Short edges first, so that the longest ones are direct if there are too many bends.
        for edge in sorted(directions, key=lambda edge: (layer_of[edge[1]] - layer_of[edge[0]], edge)):
            self._add_edge(edge)
        self.layers: list[list[int]] = [[] for _ in range(max(layer_of) + 1)]
        for node, layer in enumerate(self.layer_of):
            self.layers[layer].append(node)

    def _add_edge(self, edge: Edge) -> None:
        upstream, downstream = edge
        layers = range(self.layer_of[upstream] + 1, self.layer_of[downstream])
        if len(layers) + len(self._bends) > _MAX_BENDS:
            self.direct.append(edge)
            return
        previous = upstream
        for layer in layers:
            key = upstream, layer, self.directions[edge]
            bend = self._bends.get(key)
            if bend is None:
                bend = self._bends[key] = len(self.before)
                self.layer_of.append(layer)
                self.edge_of.append(edge)
                self.before.append([previous])
                self.after.append([])
                self.after[previous].append(bend)
            previous = bend
        self.after[previous].append(downstream)
        self.before[downstream].append(previous)


def _columns(
    graph: _LayeredGraph, sizes: Sequence[tuple[float, float]], middles: Sequence[float]
) -> list[tuple[float, float]]:
    """Returns the left and right end of each layer. The gap between two layers grows with the slope of their edges."""
    columns = []
    right = 0.0
    for layer in graph.layers:
        width = max((sizes[node][0] for node in layer if node < graph.nodes), default=0.0)
        columns.append((right, right + width))
        rise = max((abs(middles[node] - middles[other]) for node in layer for other in graph.after[node]), default=0.0)
        right += width + min(_MIN_LAYER_GAP + rise / 8, _MAX_LAYER_GAP)
    return columns


def _segments(
    graph: _LayeredGraph, frames: Sequence[Frame], columns: Sequence[tuple[float, float]], middles: Sequence[float]
) -> Iterable[Segment]:
    levels = [frame.middle for frame in frames] + list(middles[graph.nodes :])
    for node, neighbours in enumerate(graph.after):
        source = graph.edge_of[node][0]
        begin, end = columns[graph.layer_of[node]]
        start = frames[node].right if node < graph.nodes else begin
        leaving = {
            other: graph.directions[graph.edge_of[other] if other >= graph.nodes else (source, other)]
            for other in neighbours
        }
        # Within the column of a layer, an edge is level, so that it crosses no wider node above or below.
        for direction in sorted(set(leaving.values())) if start < end else ():
            yield Segment(source, -1, (start, levels[node]), (end, levels[node]), direction)
        for other, direction in sorted(leaving.items()):
            point = (columns[graph.layer_of[other]][0], levels[other])
            yield Segment(source, other if other < graph.nodes else -1, (end, levels[node]), point, direction)
    for edge in graph.direct:
        upstream, downstream = frames[edge[0]], frames[edge[1]]
        line = (upstream.right, upstream.middle), (downstream.x, downstream.middle)
        yield Segment(*edge, *line, graph.directions[edge])
