"""Which layer each node of a graph belongs to, so that edges lead from lower layers to higher ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Final

Edge = tuple[int, int]

_MAX_COLUMNS: Final = 8
"""Over how many layers nodes without edges are spread at most, where the others need no more."""


def without_cycles(count: int, edges: Sequence[Edge]) -> tuple[list[Edge], set[Edge]]:
    """Turns around what closes a cycle.

    Args:
        count: How many nodes there are; they are 0, 1, 2.
        edges: From upstream to downstream, without loops and each once.

    Returns:
        Edges that close no cycle, and those among the given ones that were turned around.
    """
    following: list[list[int]] = [[] for _ in range(count)]
    for upstream, downstream in edges:
        following[upstream].append(downstream)
    back: set[Edge] = set()
    entered = [False] * count
    left = [False] * count
    for root in range(count):
        path = [root] if not entered[root] else []
        while path:
            node = path[-1]
            entered[node] = True
            if not following[node]:
                left[node] = True
                path.pop()
                continue
            downstream = following[node].pop()
            if not entered[downstream]:
                path.append(downstream)
            elif not left[downstream]:
                back.add((node, downstream))
    turned = {(downstream, upstream) for upstream, downstream in back}
    return sorted({edge for edge in edges if edge not in back} | turned), back


def assign_layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """Returns the layer of each node: the longest way to it, or later where that makes edges shorter.

    Nodes without edges fill the layers row by row, so that many of them make no endless column.
    """
    following: list[list[int]] = [[] for _ in range(count)]
    waits_for = [0] * count
    feeds = [0] * count
    for upstream, downstream in edges:
        following[upstream].append(downstream)
        waits_for[downstream] += 1
        feeds[upstream] += 1
    layers = [0] * count
    missing = waits_for.copy()
    order = [node for node in range(count) if not missing[node]]
    for node in order:
        for downstream in following[node]:
            layers[downstream] = max(layers[downstream], layers[node] + 1)
            missing[downstream] -= 1
            if not missing[downstream]:
                order.append(downstream)
    for node in reversed(order):
        if feeds[node] > waits_for[node]:
            layers[node] = min(layers[downstream] for downstream in following[node]) - 1
    alone = [node for node in range(count) if not feeds[node] and not waits_for[node]]
    columns = max(max(layers, default=0) + 1, min(_MAX_COLUMNS, isqrt(len(alone)) // 2))
    for place, node in enumerate(alone):
        layers[node] = place % columns
    return layers
