"""Order of the nodes within their layers, with few crossings of edges: the barycentre heuristic."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_SWEEPS: Final = 8
_MAX_STALLED_SWEEPS: Final = 3
"""Number of consecutive sweeps without fewer crossings after which the search ends."""


def order_layers(layers: list[list[int]], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> None:
    """Sorts the nodes of each layer in place.

    Args:
        layers: The nodes of each layer.
        before: The neighbours of each node in the layer before its own.
        after: The neighbours of each node in the layer after its own.
    """
    best = [layer.copy() for layer in layers]
    fewest = crossings(layers, after)
    stalled = 0
    for sweep in range(_SWEEPS):
        if not fewest or stalled == _MAX_STALLED_SWEEPS:
            break
        if sweep % 2 == 0:
            for fixed, layer in pairwise(layers):
                _sort(layer, fixed, before)
        else:
            for fixed, layer in zip(layers[:0:-1], layers[-2::-1], strict=True):
                _sort(layer, fixed, after)
        count = crossings(layers, after)
        stalled = 0 if count < fewest else stalled + 1
        if count < fewest:
            fewest = count
            best = [layer.copy() for layer in layers]
    layers[:] = best


def crossings(layers: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> int:
    """Returns the number of pairs of edges that cross."""
    return sum(_crossings_between(layer, next_layer, after) for layer, next_layer in pairwise(layers))


def _sort(layer: list[int], fixed: Sequence[int], neighbours: Sequence[Sequence[int]]) -> None:
    """Sorts a layer by the mean position of each node's neighbours; nodes without neighbours stay where they are."""
    positions = {node: index for index, node in enumerate(fixed)}
    own = {node: index * len(fixed) / len(layer) for index, node in enumerate(layer)}
    means = {
        node: sum(positions[other] for other in neighbours[node]) / len(neighbours[node])
        if neighbours[node]
        else own[node]
        for node in layer
    }
    layer.sort(key=means.__getitem__)


def _crossings_between(layer: Sequence[int], next_layer: Sequence[int], after: Sequence[Sequence[int]]) -> int:
    """Counts the inversions of the right ends of edges, in the order of their left ends, with a Fenwick tree."""
    positions = {node: index for index, node in enumerate(next_layer, 1)}
    size = len(next_layer)
    sums = [0] * (size + 1)
    seen = total = 0
    for node in layer:
        ends = sorted(positions[other] for other in after[node])
        for end in ends:
            total += seen
            index = end
            while index:
                total -= sums[index]
                index &= index - 1
        for end in ends:
            seen += 1
            index = end
            while index <= size:
                sums[index] += 1
                index += index & -index
    return total
