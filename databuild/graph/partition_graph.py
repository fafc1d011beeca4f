"""The partitions of one analysis and the edges between them, as numbers.

Planning follows each edge several times, and a number finds an entry of a list faster than a ref finds one of a
dictionary.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence


class PartitionGraph:
    """The partitions that an analysis has met, numbered in the order in which it has met them.

    Attributes:
        refs: The ref of each partition, by number.
        numbers: The number of each partition, by ref.
        upstream: The numbers of the inputs of each partition, in the order of its configuration; none for a partition
            that is reused. All outputs of a configuration share one sequence. The analysis adds them.
    """

    def __init__(self) -> None:
        self.refs: list[str] = []
        self.numbers: dict[str, int] = {}
        self.upstream: list[Sequence[int]] = []

    def add(self, refs: Iterable[str]) -> None:
        """Adds the refs that have not been met before."""
        new_refs = [ref for ref in dict.fromkeys(refs) if ref not in self.numbers]
        self.numbers.update(zip(new_refs, itertools.count(len(self.refs)), strict=False))
        self.refs += new_refs

    def add_inputs(self, inputs: Sequence[Sequence[str]]) -> None:
        """Adds the inputs of the next partitions, one sequence for each of them, and the edges to them."""
        self.add(itertools.chain.from_iterable(inputs))
        numbers = self.numbers
        self.upstream += [[numbers[ref] for ref in needed] if needed else () for needed in inputs]

    def needed_by(self, ref: str) -> str | None:
        """Returns the partition for which another one was met first; None if that one was requested.

        Takes time in proportion to the graph: it is for messages about single partitions.
        """
        number = self.numbers[ref]
        return next((self.refs[other] for other, needed in enumerate(self.upstream) if number in needed), None)
