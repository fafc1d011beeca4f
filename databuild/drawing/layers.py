"""Layers of a graph: each edge leads from a lower layer to a higher one."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Final

Edge = tuple[int, int]

_MAX_COLUMNS: Final = 8
"""Maximum number of layers over which nodes without edges are spread, unless other nodes need more layers."""


def without_cycles(count: int, edges: Sequence[Edge]) -> tuple[list[Edge], set[Edge]]:
    """Reverses the back edges of a depth-first search, which close cycles.

    Args:
        count: The number of nodes, which are 0 to count - 1.
        edges: Pairs of upstream and downstream node, distinct and without loops.

    Returns:
        All edges with the back edges reversed, and the back edges.
    """
    unvisited: list[list[int]] = [[] for _ in range(count)]
    for upstream, downstream in edges:
        unvisited[upstream].append(downstream)
    back: set[Edge] = set()
    entered = [False] * count
    finished = [False] * count
    for root in range(count):
        path = [root] if not entered[root] else []
        while path:
            node = path[-1]
            entered[node] = True
            if not unvisited[node]:
                finished[node] = True
                path.pop()
                continue
            downstream = unvisited[node].pop()
            if not entered[downstream]:
                path.append(downstream)
            elif not finished[downstream]:
                back.add((node, downstream))
    reversed_edges = {(downstream, upstream) for upstream, downstream in back}
    return sorted({edge for edge in edges if edge not in back} | reversed_edges), back


def assign_layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """Returns the layer of each node: the length of the longest path to it, or more if that shortens its edges.

    Nodes without edges fill the layers row by row, so that they do not form one long column.
    """
    downstream_of: list[list[int]] = [[] for _ in range(count)]
    incoming = [0] * count
    outgoing = [0] * count
    for upstream, downstream in edges:
        downstream_of[upstream].append(downstream)
        incoming[downstream] += 1
        outgoing[upstream] += 1
    layers = [0] * count
    unplaced = incoming.copy()
    order = [node for node in range(count) if not unplaced[node]]
    for node in order:  # grows while it is read
        for downstream in downstream_of[node]:
            layers[downstream] = max(layers[downstream], layers[node] + 1)
            unplaced[downstream] -= 1
            if not unplaced[downstream]:
                order.append(downstream)
    # A node with more outgoing than incoming edges moves next to its downstream nodes, which shortens edges in total.
    for node in reversed(order):
        if outgoing[node] > incoming[node]:
            layers[node] = min(layers[downstream] for downstream in downstream_of[node]) - 1
    isolated = [node for node in range(count) if not outgoing[node] and not incoming[node]]
    columns = max(max(layers, default=0) + 1, min(_MAX_COLUMNS, isqrt(len(isolated)) // 2))
    for index, node in enumerate(isolated):
        layers[node] = index % columns
    return layers
