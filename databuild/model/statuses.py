"""Statuses by name, as in records and queries: the values of the protobuf enums without their prefix.

Strings and tuples: commands that only read must import neither protobuf nor `enum`
(docs/adr/0002-reading-is-synchronous.md). The allowed transitions are in `lifecycle.py`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, Literal, TypeVar

BuildStatus = Literal["RECEIVED", "PLANNING", "ANALYSIS_COMPLETED", "EXECUTING", "COMPLETED", "FAILED", "CANCELLED"]
JobStatus = Literal["SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"]
PartitionStatus = Literal[
    "REQUESTED", "SCHEDULED", "BUILDING", "AVAILABLE", "FAILED", "DELEGATED", "MISSING", "FORGOTTEN", "DELETED"
]

_Name = TypeVar("_Name", bound=str)


class StatusEnum(Generic[_Name]):
    """The statuses of builds, job runs or partitions. A plain class, since a NamedTuple takes longer to define.

    Attributes:
        prefix: The prefix of the names in protobuf.
        names: The names in the order of their numbers.
        ended: The final statuses.
    """

    __slots__ = ("_names", "_numbers", "ended", "names", "prefix")

    def __init__(
        self, prefix: str, names: tuple[_Name, ...], ended: frozenset[_Name], *, numbers: Sequence[int] = ()
    ) -> None:
        """Numbers the names.

        Args:
            prefix: The prefix.
            names: The names.
            ended: The final statuses.
            numbers: The numbers of the last names; the others are numbered from 1. 0 is `UNSPECIFIED`.
        """
        self.prefix = prefix
        self.names = names
        self.ended = ended
        self._numbers: dict[_Name, int] = dict(
            zip(names, (*range(1, len(names) - len(numbers) + 1), *numbers), strict=True)
        )
        self._names: dict[int, _Name] = {number: name for name, number in self._numbers.items()}

    @property
    def open(self) -> frozenset[_Name]:
        """The statuses that are not final."""
        return frozenset(self.names) - self.ended

    def number(self, name: str) -> int:
        """Returns the number of a status in protobuf.

        Raises:
            ValueError: There is no such status.
        """
        for candidate, number in self._numbers.items():
            if candidate == name:
                return number
        raise ValueError(f"{self.prefix}... has no value {name!r}")

    def name(self, number: int) -> _Name:
        """Returns the name of a status.

        Raises:
            ValueError: There is no such status, or the number is 0.
        """
        if number not in self._names:
            raise ValueError(f"{self.prefix}... has no value {number}")
        return self._names[number]

    def message_name(self, name: str) -> str:
        """Returns the name of a status in protobuf, such as `BUILD_STATUS_FAILED`."""
        return self.prefix + name


BUILD: Final = StatusEnum[BuildStatus](
    "BUILD_STATUS_",
    ("RECEIVED", "PLANNING", "ANALYSIS_COMPLETED", "EXECUTING", "COMPLETED", "FAILED", "CANCELLED"),
    frozenset({"COMPLETED", "FAILED", "CANCELLED"}),
)
JOB: Final = StatusEnum[JobStatus](
    "JOB_STATUS_",
    ("SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"),
    frozenset({"COMPLETED", "FAILED", "CANCELLED", "SKIPPED"}),
)
PARTITION: Final = StatusEnum[PartitionStatus](
    "PARTITION_STATUS_",
    ("REQUESTED", "SCHEDULED", "BUILDING", "AVAILABLE", "FAILED", "DELEGATED", "MISSING", "FORGOTTEN", "DELETED"),
    frozenset({"AVAILABLE", "FAILED", "DELEGATED"}),
    numbers=(100, 101),
)

TAINTED: Final = "TAINTED"
"""Counted and filtered like a status of partitions: available, but marked not to be trusted."""
