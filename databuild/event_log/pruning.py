"""Prunes builds: what is left of each is one row, and what some partition rests on.

The steps, each in short transactions, are in an order in which the log is whole after every one of them: a pruning that
is interrupted is gone on with by the next. What is known of a partition is kept first (a snapshot, from which the read
models can be computed anew), then the build is marked, and only then anything of it is removed: its events, and the
rows of its partitions and job runs except where the data that is there now comes from them. That rest is looked through
again each time, since later builds produce partitions anew.

It knows no SQL: that, `Rows` does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

from databuild.model.paging import read_pages, read_rows

_T = TypeVar("_T")

_BUILDS: Final = 100

MAX_ROWS: Final = 10_000
"""How many rows one transaction changes at most, so that no build waits long."""


class Rows(Protocol):
    """The tables of an event log, as far as pruning needs them. What changes them is one transaction each."""

    def partitions(self, build_request_id: str, after: str, limit: int) -> Sequence[tuple[str, bool]]:
        """Returns the partitions of a build, by ref, each with whether its data comes from that build."""
        ...

    def needless_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns number and id of job runs that no partition of a build, as far as there are rows, comes from."""
        ...

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns pruned builds that have more than one row, by id."""
        ...

    def keep(self, refs: Sequence[str]) -> None:
        """Keeps what is known of partitions now, and up to which position of the log it is that."""
        ...

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks those of these builds as pruned that have ended, and are not yet."""
        ...

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of these builds that are marked."""
        ...

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes events of builds, and returns how many."""
        ...

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds, given by build and ref."""
        ...

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        """Removes job runs."""
        ...

    def settle(self, build_request_ids: Sequence[str]) -> None:
        """Takes note of which of these builds have more than one row left."""
        ...


def prune(rows: Rows, build_request_ids: Collection[str], time: float) -> None:
    """Prunes builds that have ended; others are left as they are.

    Args:
        rows: The tables.
        build_request_ids: The builds.
        time: When, in seconds since the epoch; kept with the builds.
    """
    builds = sorted(build_request_ids)
    refs = (ref for build in builds for ref, _ in _partitions(rows, build))
    for part in _parts(refs):
        rows.keep(sorted(set(part)))
    rows.mark(builds, time)
    _remove(rows, rows.marked(builds))


def go_on(rows: Rows) -> None:
    """Removes what is left of pruned builds and needed no more."""
    for builds in read_pages(rows.unfinished, key=lambda build: build, start="", size=_BUILDS):
        _remove(rows, builds)


def _remove(rows: Rows, builds: Sequence[str]) -> None:
    while rows.remove_events(builds, MAX_ROWS) == MAX_ROWS:
        pass
    for keys in _parts((build, ref) for build in builds for ref, rests in _partitions(rows, build) if not rests):
        rows.remove_partitions(keys)
    for runs in _parts(run for build in builds for run in _needless_runs(rows, build)):
        rows.remove_runs(runs)
    rows.settle(builds)


def _partitions(rows: Rows, build: str) -> Iterator[tuple[str, bool]]:
    return read_rows(
        lambda after, limit: rows.partitions(build, after, limit), key=lambda row: row[0], start="", size=MAX_ROWS
    )


def _needless_runs(rows: Rows, build: str) -> Iterator[str]:
    runs = read_rows(
        lambda after, limit: rows.needless_runs(build, after, limit), key=lambda row: row[0], start=0, size=MAX_ROWS
    )
    return (run for _, run in runs)


def _parts(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while part := list(islice(iterator, MAX_ROWS)):
        yield part
