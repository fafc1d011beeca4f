"""Removals of data: what was or would be removed, and what was refused.

NamedTuples, as records are: the command line prints them without importing `dataclasses`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_REMOVALS: Final = 1000
"""The maximum number of partitions in one part of a deletion, and of entries that an answer about a cleaning lists."""


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


class Leftover(NamedTuple):
    """A temporary file of a job run that has ended: its URI and its size in bytes."""

    uri: str
    size: int


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
        keep_inputs: True to keep data from which available partitions were made.
        dry_run: True to remove nothing.
    """

    keep_inputs: bool = True
    dry_run: bool = False


class Cleaning(NamedTuple):
    """The result of a cleaning, or of a part of it.

    Attributes:
        data: The data of partitions that are older than the retention of their job, by ref.
        kept: The number of partitions that are older, and were kept since available partitions were made from them.
        leftovers: The temporary files of job runs that have ended.
        more: True if the cleaning has stopped early, so that another one continues it.
    """

    data: tuple[RemovedData, ...] = ()
    kept: int = 0
    leftovers: tuple[Leftover, ...] = ()
    more: bool = False

    def plus(self, part: Cleaning) -> Cleaning:
        """Returns the result of this cleaning and one that continues it."""
        return Cleaning(self.data + part.data, part.kept, self.leftovers + part.leftovers, part.more)
