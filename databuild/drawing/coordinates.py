"""Heights of the nodes of a layered graph: near their neighbours, in the order of their layer, without overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SWEEPS: Final = 8
_BEND_WEIGHT: Final = 8.0
"""Weight of the piece of an edge between two bends: long edges are kept straight."""


def assign_heights(
    layers: Sequence[Sequence[int]],
    before: Sequence[Sequence[int]],
    after: Sequence[Sequence[int]],
    sizes: Sequence[float],
    first_bend: int,
) -> list[float]:
    """Returns the height of the middle of each node; the top of the graph is 0.

    Args:
        layers: The nodes of each layer, in order.
        before: The neighbours of each node in the layer before its own.
        after: The neighbours of each node in the layer after its own.
        sizes: The height of each node, with the gap around it.
        first_bend: The number of the first node that is a bend of an edge; all nodes after it are bends too.
    """
    middles = [0.0] * len(sizes)
    for layer in layers:
        height = 0.0
        for node in layer:
            middles[node] = height + sizes[node] / 2
            height += sizes[node]
    both = [(*left, *right) for left, right in zip(before, after, strict=True)]
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        # The first two sweeps look to one side only, which spreads the graph out; the others balance both sides.
        neighbours = both if sweep >= 2 else before if forward else after
        for layer in layers if forward else layers[::-1]:
            _settle(layer, neighbours, middles, sizes, first_bend)
    top = min(middles[node] - sizes[node] / 2 for layer in layers for node in layer)
    return [middle - top for middle in middles]


def _settle(
    layer: Sequence[int],
    neighbours: Sequence[Sequence[int]],
    middles: list[float],
    sizes: Sequence[float],
    first_bend: int,
) -> None:
    """Moves the nodes of one layer as near to their neighbours as possible without overlaps.

    Minimal distances are subtracted first, so that only the order remains as a constraint. The least-squares solution
    under an order is isotonic regression, which the pool-adjacent-violators algorithm computes.
    """
    blocks: list[tuple[float, float, int]] = []  # weight, weighted sum of heights, nodes
    offsets = []
    offset = 0.0
    for index, node in enumerate(layer):
        if index:
            offset += (sizes[layer[index - 1]] + sizes[node]) / 2
        offsets.append(offset)
        weight, height = _ideal_height(node, neighbours[node], middles, first_bend)
        block = (weight, weight * (height - offset), 1)
        # Cross-multiplied comparison of means: a block whose mean is not above that of the block before joins it.
        while blocks and blocks[-1][1] * block[0] >= block[1] * blocks[-1][0]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    index = 0
    for weight, total, length in blocks:
        for _ in range(length):
            middles[layer[index]] = total / weight + offsets[index]
            index += 1


def _ideal_height(
    node: int, neighbours: Sequence[int], middles: Sequence[float], first_bend: int
) -> tuple[float, float]:
    """Returns the weight and the value of a node's ideal height, the weighted mean of its neighbours."""
    if not neighbours:  # a small weight, so that other nodes can push it aside
        return 0.01, middles[node]
    if node < first_bend:
        return float(len(neighbours)), sum(map(middles.__getitem__, neighbours)) / len(neighbours)
    weight = total = 0.0
    for other in neighbours:
        edge_weight = _BEND_WEIGHT if other >= first_bend else 2.0
        weight += edge_weight
        total += edge_weight * middles[other]
    return weight, total / weight
