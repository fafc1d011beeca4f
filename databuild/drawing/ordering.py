"""The order of nodes within their layers, with few crossings of edges: sweeps by the mean of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_SWEEPS: Final = 8
_STALLED: Final = 3
"""After how many sweeps without gain it ends."""


def order_layers(layers: list[list[int]], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> None:
    """Orders the nodes of each layer, in place.

    Args:
        layers: The nodes of each layer.
        before: The neighbours of each node in the layer before its own.
        after: The neighbours of each node in the layer after its own.
    """
    best = [layer.copy() for layer in layers]
    fewest = crossings(layers, after)
    stalled = 0
    for sweep in range(_SWEEPS):
        if not fewest or stalled == _STALLED:
            break
        if sweep % 2 == 0:
            for fixed, layer in pairwise(layers):
                _sort(layer, fixed, before)
        else:
            for fixed, layer in zip(layers[:0:-1], layers[-2::-1], strict=True):
                _sort(layer, fixed, after)
        found = crossings(layers, after)
        stalled = 0 if found < fewest else stalled + 1
        if found < fewest:
            fewest = found
            best = [layer.copy() for layer in layers]
    layers[:] = best


def crossings(layers: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> int:
    """Returns how many pairs of edges cross."""
    return sum(_crossings_between(layer, following, after) for layer, following in pairwise(layers))


def _sort(layer: list[int], fixed: Sequence[int], neighbours: Sequence[Sequence[int]]) -> None:
    place = {node: index for index, node in enumerate(fixed)}
    own = {node: index * len(fixed) / len(layer) for index, node in enumerate(layer)}
    means = {
        node: sum(place[other] for other in neighbours[node]) / len(neighbours[node]) if neighbours[node] else own[node]
        for node in layer
    }
    layer.sort(key=means.__getitem__)


def _crossings_between(layer: Sequence[int], following: Sequence[int], after: Sequence[Sequence[int]]) -> int:
    """Counts inversions among the far ends of edges, in the order of their near ends, with a tree of sums."""
    place = {node: index for index, node in enumerate(following, 1)}
    size = len(following)
    sums = [0] * (size + 1)
    seen = total = 0
    for node in layer:
        ends = sorted(place[other] for other in after[node])
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
