"""How high each node of a layered graph stands: near its neighbours, in the order of its layer, apart from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SWEEPS: Final = 8
_BEND_WEIGHT: Final = 8.0
"""How much straighter an edge is kept where it only passes through a layer."""


def assign_heights(
    layers: Sequence[Sequence[int]],
    before: Sequence[Sequence[int]],
    after: Sequence[Sequence[int]],
    sizes: Sequence[float],
    first_bend: int,
) -> list[float]:
    """Returns the height of the middle of each node, the highest at its half size.

    Args:
        layers: The nodes of each layer, in order.
        before: The neighbours of each node in the layer before its own.
        after: The neighbours of each node in the layer after its own.
        sizes: How high each node is, with the room that is kept around it.
        first_bend: From which number on nodes only are bends of edges.
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
        # The first sweeps unfold the graph from one side each, the others settle it.
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
    """Moves the nodes of one layer as near to their neighbours as they get without touching each other.

    What they may not come nearer than is taken off first, so that they only have to keep their order: the nearest such
    heights, in the sense of least squares, are the means of the blocks that pooling adjacent violators ends with.
    """
    blocks: list[tuple[float, float, int]] = []  # weight, weighted sum of heights, nodes
    offsets = []
    offset = 0.0
    for place, node in enumerate(layer):
        if place:
            offset += (sizes[layer[place - 1]] + sizes[node]) / 2
        offsets.append(offset)
        weight, height = _wish(node, neighbours[node], middles, first_bend)
        block = (weight, weight * (height - offset), 1)
        while blocks and blocks[-1][1] * block[0] >= block[1] * blocks[-1][0]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    place = 0
    for weight, total, length in blocks:
        for _ in range(length):
            middles[layer[place]] = total / weight + offsets[place]
            place += 1


def _wish(node: int, neighbours: Sequence[int], middles: Sequence[float], first_bend: int) -> tuple[float, float]:
    """Returns how much a node wants to be at a height, and at which."""
    if not neighbours:
        return 0.01, middles[node]
    if node < first_bend:
        return float(len(neighbours)), sum(map(middles.__getitem__, neighbours)) / len(neighbours)
    weight = total = 0.0
    for other in neighbours:
        pull = _BEND_WEIGHT if other >= first_bend else 2.0
        weight += pull
        total += pull * middles[other]
    return weight, total / weight
