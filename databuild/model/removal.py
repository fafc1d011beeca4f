"""Removals of data: what was or would be removed, and what was refused.

NamedTuples, as records are: the command line prints them without importing `dataclasses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.tuples import NamedTuple

MAX_REMOVALS: Final = 1000
"""The maximum number of partitions in one part of a deletion, and of entries that an answer about a cleaning lists."""


class Forgotten(NamedTuple):
    """Partitions that were forgotten.

    Attributes:
        partitions: The partitions.
        author: The recorded author.
        operation_ids: The operations that record it.
    """

    partitions: tuple[str, ...]
    author: str
    operation_ids: tuple[str, ...]


class RemovedData(NamedTuple):
    """The data of one partition that was or would be removed.

    Attributes:
        ref: The partition.
        uri: Its place; empty if it is not known.
        size: The number of bytes; 0 if nothing is there.
        fault: The reason why it is not removed, in words; empty if it is.
    """

    ref: str
    uri: str = ""
    size: int = 0
    fault: str = ""


class Deletion(NamedTuple):
    """The result of a deletion, or of a part of it.

    Attributes:
        data: The data of each partition, by ref.
        next_after: The last ref of this part, if another part may follow; empty at the end.
        author: The recorded author; empty for a dry run.
    """

    data: tuple[RemovedData, ...] = ()
    next_after: str = ""
    author: str = ""

    def plus(self, part: Deletion) -> Deletion:
        """Returns the result of this part and the next."""
        return Deletion(self.data + part.data, part.next_after, part.author or self.author)

    @property
    def removed(self) -> tuple[RemovedData, ...]:
        """The data without a fault."""
        return tuple(one for one in self.data if not one.fault)

    @property
    def refused(self) -> tuple[RemovedData, ...]:
        """The data with a fault."""
        return tuple(one for one in self.data if one.fault)

    @property
    def bytes(self) -> int:
        """The number of bytes of the data without a fault."""
        return sum(one.size for one in self.removed)


class CleanOptions(NamedTuple):
    """The options of a cleaning.

    Attributes:
        delete_inputs: True to delete also data from which available partitions were made.
        dry_run: True to remove nothing.
    """

    delete_inputs: bool = False
    dry_run: bool = False


class Cleaning(NamedTuple):
    """The result of a cleaning, or of a part of it.

    Attributes:
        deleted: The number of partitions whose data was or would be deleted.
        bytes: The number of bytes of that data.
        refused: The number of partitions that are too old and cannot be deleted.
        kept: The number of partitions that are too old and were kept, since available ones were made from them.
        leftovers: The number of files that job runs left behind.
        leftover_bytes: The number of their bytes.
        data: The first MAX_REMOVALS partitions that were deleted or refused.
        more: True if the cleaning has stopped early, so that another one continues it.
    """

    deleted: int = 0
    bytes: int = 0
    refused: int = 0
    kept: int = 0
    leftovers: int = 0
    leftover_bytes: int = 0
    data: tuple[RemovedData, ...] = ()
    more: bool = False

    def with_data(self, data: Sequence[RemovedData]) -> Cleaning:
        """Returns the result with further data."""
        removed = [one for one in data if not one.fault]
        return self._replace(
            deleted=self.deleted + len(removed),
            bytes=self.bytes + sum(one.size for one in removed),
            refused=self.refused + len(data) - len(removed),
            data=(self.data + tuple(data))[:MAX_REMOVALS],
        )

    def plus(self, part: Cleaning) -> Cleaning:
        """Returns the result of this cleaning and one that continues it, which has refused and kept the same again."""
        return Cleaning(
            self.deleted + part.deleted,
            self.bytes + part.bytes,
            part.refused,
            part.kept,
            self.leftovers + part.leftovers,
            self.leftover_bytes + part.leftover_bytes,
            (*(one for one in self.data if not one.fault), *part.data)[:MAX_REMOVALS],
            part.more,
        )
