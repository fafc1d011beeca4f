"""Retention of builds: their selection for pruning, and pruning in batches, which can be interrupted and continued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from databuild.event_log.log import Pruner
from databuild.event_log.reads import BuildReads, LogSize
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord
from databuild.tuples import NamedTuple

_BATCH: Final = 100
"""Number of builds pruned in one transaction, which blocks writers: few transactions, and none of them long."""


class Batch(NamedTuple):
    """Builds that were or would be pruned together, with the number and the size in bytes of their events."""

    builds: tuple[BuildRecord, ...]
    events: int
    bytes: int


def builds_to_prune(reader: BuildReads, *, before: float | None = None, keep: int = 0) -> Iterator[BuildRecord]:
    """Yields the builds to prune, newest first.

    Args:
        reader: Reads the builds.
        before: Selects builds that ended before this time, in seconds since the epoch; None for all ended builds.
        keep: The number of the newest ended builds that are kept, whatever their age.
    """
    builds = read_rows(
        lambda newer, limit: reader.builds(before=newer or None, limit=limit),
        key=lambda build: build.build_request_id,
        start="",
    )
    for build in builds:
        if build.status not in statuses.BUILD.ended:
            continue
        if keep > 0:
            keep -= 1
        elif not build.pruned_time and (before is None or build.updated_time < before):
            yield build


def batches(reader: LogSize, builds: Iterable[BuildRecord]) -> Iterator[Batch]:
    """Groups builds into batches, and measures their events."""
    remaining = iter(builds)
    while batch := tuple(islice(remaining, _BATCH)):
        size = reader.bytes_of_events([build.build_request_id for build in batch])
        yield Batch(batch, sum(build.last_sequence for build in batch), size)


def prune_builds(pruner: Pruner, reader: LogSize, builds: Iterable[BuildRecord], now: float) -> Iterator[Batch]:
    """Prunes builds in batches, and yields each batch when it is done. Then removes the remains of earlier prunings.

    Args:
        pruner: Prunes the event log.
        reader: Measures the events.
        builds: The builds.
        now: The time, in seconds since the epoch.

    Raises:
        EventLogError: The event log failed; batches that are done remain pruned.
    """
    for batch in batches(reader, builds):
        pruner.prune([build.build_request_id for build in batch.builds], now)
        yield batch
    pruner.resume()
