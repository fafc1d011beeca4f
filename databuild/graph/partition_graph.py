"""The partitions of one analysis and the edges between them, as numbers.

Planning follows each edge several times, and a number finds an entry of a list faster than a ref finds one of a
dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

_REQUESTED: Final = -1


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
        self._needed_by: list[int] = []

    def add(self, refs: Iterable[str], *, needed_by: int = _REQUESTED) -> list[int]:
        """Adds the refs that have not been met before, and returns the numbers of all.

        Args:
            refs: The refs.
            needed_by: The number of the partition that needs them.
        """
        all_refs, numbers = self.refs, self.numbers
        found = []
        for ref in refs:
            number = numbers.get(ref)
            if number is None:
                number = numbers[ref] = len(all_refs)
                all_refs.append(ref)
                self._needed_by.append(needed_by)
            found.append(number)
        return found

    def needed_by(self, ref: str) -> str | None:
        """Returns the partition for which another one was met first; None if that one was requested."""
        dependent = self._needed_by[self.numbers[ref]]
        return None if dependent == _REQUESTED else self.refs[dependent]
