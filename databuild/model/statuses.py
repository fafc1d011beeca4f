"""Statuses by name, as in records and queries: the values of the protobuf enums without their prefix.

Strings and tuples: commands that only read must import neither protobuf nor `enum`
(docs/adr/0002-reading-is-synchronous.md). The allowed transitions are in `lifecycle.py`; a test compares the two.
"""

from __future__ import annotations

from typing import Final, Generic, Literal, TypeVar

BuildStatus = Literal["RECEIVED", "PLANNING", "ANALYSIS_COMPLETED", "EXECUTING", "COMPLETED", "FAILED", "CANCELLED"]
JobStatus = Literal["SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"]
PartitionStatus = Literal["REQUESTED", "SCHEDULED", "BUILDING", "AVAILABLE", "FAILED", "DELEGATED", "MISSING"]

_Name = TypeVar("_Name", bound=str)


class StatusEnum(Generic[_Name]):
    """The statuses of builds, job runs or partitions. A plain class, since a NamedTuple takes longer to define.

    Attributes:
        prefix: The prefix of the names in protobuf.
        names: The names in the order of their numbers, which begin at 1; 0 is `UNSPECIFIED`.
        ended: The final statuses.
    """

    __slots__ = ("ended", "names", "prefix")

    def __init__(self, prefix: str, names: tuple[_Name, ...], ended: frozenset[_Name]) -> None:
        self.prefix = prefix
        self.names = names
        self.ended = ended

    @property
    def open(self) -> frozenset[_Name]:
        """The statuses that are not final."""
        return frozenset(self.names) - self.ended

    def number(self, name: str) -> int:
        """Returns the number of a status in protobuf.

        Raises:
            ValueError: There is no such status.
        """
        for number, candidate in enumerate(self.names, 1):
            if candidate == name:
                return number
        raise ValueError(f"{self.prefix}... has no value {name!r}")

    def name(self, number: int) -> _Name:
        """Returns the name of a status.

        Raises:
            ValueError: There is no such status, or the number is 0.
        """
        if not 0 < number <= len(self.names):
            raise ValueError(f"{self.prefix}... has no value {number}")
        return self.names[number - 1]

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
    ("REQUESTED", "SCHEDULED", "BUILDING", "AVAILABLE", "FAILED", "DELEGATED", "MISSING"),
    frozenset({"AVAILABLE", "FAILED", "DELEGATED"}),
)

TAINTED: Final = "TAINTED"
"""Counted and filtered like a status of partitions: available, but marked not to be trusted."""
