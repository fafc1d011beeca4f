"""Answers about environments."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.tuples import NamedTuple


class Difference(NamedTuple):
    """One difference between a partition of an environment and that of the base.

    Attributes:
        subject: The subject: `content`, `code`, `metadata NAME`, `metric NAME` or `check NAME`.
        base: Its value in the base, as text; None if the base has none.
        environment: Its value in the environment, as text; None if the environment has none.
    """

    subject: str
    base: str | None
    environment: str | None


class PartitionComparison(NamedTuple):
    """A partition of an environment, compared with that of the base.

    Attributes:
        ref: The partition.
        status: `NEW` if the base has no data of it, `SAME` if nothing differs that its readers see, else `CHANGED`.
        differences: The differences, also those of a partition with the same content, such as the code that made it.
        job_label: The job that made the data of the environment; empty for adopted data.
    """

    ref: str
    status: str
    differences: tuple[Difference, ...] = ()
    job_label: str = ""


class Promotion(NamedTuple):
    """The result of a promotion.

    Attributes:
        environment: The environment.
        promoted: The partitions.
        left_out: The reason for each partition of the environment that was left out, by ref.
        operation_id: The operation that the promotion is recorded as; empty if nothing was promoted.
        author: The recorded author.
    """

    environment: str
    promoted: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}
    operation_id: str = ""
    author: str = ""


class EnvironmentView(NamedTuple):
    """An environment.

    Attributes:
        name: The name.
        builds: The number of its builds.
        partitions: The number of partitions of which it has data of its own.
        updated_time: The time of the newest change of its newest build, in seconds since the epoch; 0 for none.
    """

    name: str
    builds: int
    partitions: int
    updated_time: float


class RemovedEnvironment(NamedTuple):
    """The result of a removal.

    Attributes:
        name: The environment.
        deleted: The URIs whose data was deleted.
        kept: The reason for each URI whose data was kept, by URI.
    """

    name: str
    deleted: tuple[str, ...] = ()
    kept: Mapping[str, str] = {}
