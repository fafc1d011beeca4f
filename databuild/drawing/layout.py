"""Where the nodes and edges of a graph are drawn: in layers from left to right, after Sugiyama, Tagawa and Toda (1981).

Knows sizes and edges only, not what the nodes are. The same graph is always drawn the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from databuild.drawing.coordinates import assign_heights
from databuild.drawing.layers import Edge, assign_layers, without_cycles
from databuild.drawing.ordering import order_layers

LARGEST: Final = 300
"""How many nodes are laid out at most."""

_ROOM: Final = 18.0
_BEND_ROOM: Final = 9.0
_BETWEEN: Final = 44.0
_WIDEST_BETWEEN: Final = 160.0
_MAX_BENDS: Final = 4000


class Place(NamedTuple):
    """Where a node is: its corner at the top left, and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """How high its middle is."""
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width


class Ways(NamedTuple):
    """Which ways an edge leads.

    Attributes:
        onward: Whether it leads from left to right.
        back: Whether it leads from right to left: it does where it closes a cycle.
        faint: Whether it was asked to be told from other edges.
    """

    onward: bool
    back: bool
    faint: bool


class Segment(NamedTuple):
    """A piece of an edge, or of several that lead from the same node.

    Attributes:
        source: The node at the left where the edge begins.
        target: The node where it ends; -1 where it only bends.
        start: Its left point.
        end: Its right point.
        ways: Which ways the edge leads.
    """

    source: int
    target: int
    start: tuple[float, float]
    end: tuple[float, float]
    ways: Ways


class Layout(NamedTuple):
    """A graph laid out; the canvas begins at 0, 0."""

    width: float
    height: float
    places: tuple[Place, ...]
    segments: tuple[Segment, ...]


def lay_out(
    sizes: Sequence[tuple[float, float]], edges: Iterable[Edge], *, faint: Collection[Edge] = frozenset()
) -> Layout:
    """Lays a graph out.

    Args:
        sizes: The width and height of each node.
        edges: From upstream to downstream, by the places of their nodes in `sizes`. Loops are left out.
        faint: Those of the edges that do not share their way with others.

    Raises:
        ValueError: There are more nodes than `LARGEST`.
    """
    if len(sizes) > LARGEST:
        raise ValueError(f"{len(sizes)} nodes; at most {LARGEST} are laid out")
    if not sizes:
        return Layout(0.0, 0.0, (), ())
    asked = {edge for edge in edges if edge[0] != edge[1]}
    forward, back = without_cycles(len(sizes), sorted(asked))
    kept = asked - back
    ways = {
        edge: Ways(edge in kept, edge[::-1] in back, faint=edge in faint or (edge not in kept and edge[::-1] in faint))
        for edge in forward
    }
    web = _Web(assign_layers(len(sizes), forward), ways)
    order_layers(web.layers, web.before, web.after)
    heights = [height + _ROOM for _, height in sizes] + [_BEND_ROOM] * (len(web.before) - len(sizes))
    middles = assign_heights(web.layers, web.before, web.after, heights, len(sizes))
    columns = _columns(web, sizes, middles)
    places = tuple(
        Place(columns[web.layer_of[node]][0], middles[node] - height / 2, width, height)
        for node, (width, height) in enumerate(sizes)
    )
    bottom = max(middle + height / 2 for middle, height in zip(middles, heights, strict=True))
    return Layout(columns[-1][1], bottom, places, tuple(_segments(web, places, columns, middles)))


class _Web:
    """Nodes and bends with their neighbours one layer away: edges from one node share their bends."""

    def __init__(self, layer_of: list[int], ways: Mapping[Edge, Ways]) -> None:
        self.nodes = len(layer_of)
        self.layer_of = layer_of
        self.ways = ways
        self.edge_of: list[Edge] = [(node, -1) for node in range(self.nodes)]
        self.before: list[list[int]] = [[] for _ in layer_of]
        self.after: list[list[int]] = [[] for _ in layer_of]
        self.direct: list[Edge] = []
        self._bends: dict[tuple[int, int, Ways], int] = {}
        for edge in sorted(ways, key=lambda edge: (layer_of[edge[1]] - layer_of[edge[0]], edge)):
            self._join(edge)
        self.layers: list[list[int]] = [[] for _ in range(max(layer_of) + 1)]
        for node, layer in enumerate(self.layer_of):
            self.layers[layer].append(node)

    def _join(self, edge: Edge) -> None:
        upstream, downstream = edge
        layers = range(self.layer_of[upstream] + 1, self.layer_of[downstream])
        if len(layers) + len(self._bends) > _MAX_BENDS:
            self.direct.append(edge)
            return
        near = upstream
        for layer in layers:
            key = upstream, layer, self.ways[edge]
            bend = self._bends.get(key)
            if bend is None:
                bend = self._bends[key] = len(self.before)
                self.layer_of.append(layer)
                self.edge_of.append(edge)
                self.before.append([near])
                self.after.append([])
                self.after[near].append(bend)
            near = bend
        self.after[near].append(downstream)
        self.before[downstream].append(near)


def _columns(web: _Web, sizes: Sequence[tuple[float, float]], middles: Sequence[float]) -> list[tuple[float, float]]:
    """Returns where each layer begins and ends; the steeper the edges between two, the further they are apart."""
    columns = []
    right = 0.0
    for layer in web.layers:
        width = max((sizes[node][0] for node in layer if node < web.nodes), default=0.0)
        columns.append((right, right + width))
        rise = max((abs(middles[node] - middles[other]) for node in layer for other in web.after[node]), default=0.0)
        right += width + min(_BETWEEN + rise / 8, _WIDEST_BETWEEN)
    return columns


def _segments(
    web: _Web, places: Sequence[Place], columns: Sequence[tuple[float, float]], middles: Sequence[float]
) -> Iterable[Segment]:
    levels = [place.middle for place in places] + list(middles[web.nodes :])
    for node, nexts in enumerate(web.after):
        source = web.edge_of[node][0]
        begin, end = columns[web.layer_of[node]]
        start = places[node].right if node < web.nodes else begin
        leaving = {other: web.ways[web.edge_of[other] if other >= web.nodes else (source, other)] for other in nexts}
        # Beside what else is in its column, an edge stays level.
        for ways in sorted(set(leaving.values())) if start < end else ():
            yield Segment(source, -1, (start, levels[node]), (end, levels[node]), ways)
        for other, ways in sorted(leaving.items()):
            point = (columns[web.layer_of[other]][0], levels[other])
            yield Segment(source, other if other < web.nodes else -1, (end, levels[node]), point, ways)
    for edge in web.direct:
        near, far = places[edge[0]], places[edge[1]]
        yield Segment(*edge, (near.right, near.middle), (far.x, far.middle), web.ways[edge])
