"""Differences between two schemas of data, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from databuild.tuples import NamedTuple

_MAX_CHANGES: Final = 20


class SchemaComparison(NamedTuple):
    """The schema of a partition, compared with an earlier one.

    Attributes:
        since: The earlier schema: the job run of the same partition, or the ref of the partition before it.
        changes: The differences, one sentence each; empty if the schemas are equal.
    """

    since: str
    changes: tuple[str, ...]


def schema_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the differences between two schemas, which have the type of each column by name."""
    changes = list(_changes(before, after))
    if len(changes) > _MAX_CHANGES:
        changes[_MAX_CHANGES:] = [f"{len(changes) - _MAX_CHANGES} more changes"]
    return tuple(changes)


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name, kind in after.items():
        if name not in before:
            yield f"column {name} ({kind}) is new"
        elif before[name] != kind:
            yield f"column {name} was {before[name]} and is {kind}"
    for name, kind in before.items():
        if name not in after:
            yield f"column {name} ({kind}) is gone"
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield "the columns are in another order"
