"""The steps of pruning. A pruned build keeps its record, and the rows of partitions whose current data it produced.

Each step is a short transaction, and the log is consistent after each, so that the next pruning can finish one that was
interrupted. First, the records of the build's partitions are saved as snapshots, from which the read models can be
rebuilt. Then the build is marked as pruned. Only then are its events removed, and the rows of its partitions and job
runs, except those of current data. These remaining rows are checked again by each later pruning, since other builds
replace data.

It knows no SQL: that is behind `PrunableTables`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

from databuild.model.paging import read_pages, read_rows

_T = TypeVar("_T")

_BUILDS: Final = 100

MAX_ROWS: Final = 10_000
"""The maximum number of rows that one transaction changes, so that builds do not wait long for its locks."""


class PrunableTables(Protocol):
    """The operations on the tables of an event log that pruning needs. Each change is one transaction."""

    def partitions(self, build_request_id: str, after: str, limit: int) -> Sequence[tuple[str, bool]]:
        """Returns the partitions of a build, by ref, each with True if the build produced its current data."""
        ...

    def unreferenced_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns number and id of the job runs of a build that none of its remaining partition rows refers to."""
        ...

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns the pruned builds that have more rows than their own, by id."""
        ...

    def save_snapshots(self, refs: Sequence[str]) -> None:
        """Saves the current records of partitions, with the position of the log that they include."""
        ...

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks builds as pruned, except those that have not ended or are marked already."""
        ...

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of the builds that are marked as pruned."""
        ...

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes at most `limit` events of builds, and returns the number that were removed."""
        ...

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds, given by build and ref."""
        ...

    def remove_runs(self, job_run_ids: Sequence[str]) -> None: ...

    def update_rows_left(self, build_request_ids: Sequence[str]) -> None:
        """Records which of the builds still have more rows than their own."""
        ...


def prune(tables: PrunableTables, build_request_ids: Collection[str], time: float, *, max_rows: int = MAX_ROWS) -> None:
    """Prunes those of the builds that have ended.

    Args:
        tables: The tables.
        build_request_ids: The builds.
        time: The `pruned_time` of the builds, in seconds since the epoch.
        max_rows: Maximum number of rows that one transaction changes.
    """
    # The order of these steps makes a pruning safe to interrupt, as the module's docstring says.
    builds = sorted(build_request_ids)
    refs = (ref for build in builds for ref, _ in _partitions(tables, build, max_rows))
    for chunk in _chunks(refs, max_rows):
        tables.save_snapshots(sorted(set(chunk)))
    tables.mark(builds, time)
    _remove(tables, tables.marked(builds), max_rows)


def resume(tables: PrunableTables, *, max_rows: int = MAX_ROWS) -> None:
    """Finishes interrupted prunings, and removes rows of pruned builds whose data has been replaced since."""
    for builds in read_pages(tables.unfinished, key=lambda build: build, start="", size=_BUILDS):
        _remove(tables, builds, max_rows)


def _remove(tables: PrunableTables, builds: Sequence[str], max_rows: int) -> None:
    while tables.remove_events(builds, max_rows) == max_rows:
        pass
    replaced = (
        (build, ref) for build in builds for ref, current in _partitions(tables, build, max_rows) if not current
    )
    for keys in _chunks(replaced, max_rows):
        tables.remove_partitions(keys)
    # After the rows of partitions: runs are removed that no remaining row refers to.
    for runs in _chunks((run for build in builds for run in _unreferenced_runs(tables, build, max_rows)), max_rows):
        tables.remove_runs(runs)
    tables.update_rows_left(builds)


def _partitions(tables: PrunableTables, build: str, max_rows: int) -> Iterator[tuple[str, bool]]:
    return read_rows(
        lambda after, limit: tables.partitions(build, after, limit), key=lambda row: row[0], start="", size=max_rows
    )


def _unreferenced_runs(tables: PrunableTables, build: str, max_rows: int) -> Iterator[str]:
    runs = read_rows(
        lambda after, limit: tables.unreferenced_runs(build, after, limit),
        key=lambda row: row[0],
        start=0,
        size=max_rows,
    )
    return (run for _, run in runs)


def _chunks(items: Iterable[_T], max_rows: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, max_rows)):
        yield chunk
