"""Which builds are pruned, and how: batch by batch, so that it may be stopped anywhere and gone on with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from databuild.event_log.log import Pruner
from databuild.event_log.reads import BuildReads, LogSize
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord

_BATCH: Final = 100
"""How many builds are pruned together: few transactions, and none of them long."""


class Batch(NamedTuple):
    """Builds that were pruned, or would be; their events, and how many bytes those took."""

    builds: tuple[BuildRecord, ...]
    events: int
    bytes: int


def builds_to_prune(reader: BuildReads, *, before: float | None = None, keep: int = 0) -> Iterator[BuildRecord]:
    """Yields the builds that are to be pruned, newest first.

    Args:
        reader: Knows the builds.
        before: Only builds that have ended before then, in seconds since the epoch; None for all that have ended.
        keep: How many of the newest builds that have ended stay, whenever that was.
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
    """Yields builds in batches, each with how much there is to remove."""
    rest = iter(builds)
    while batch := tuple(islice(rest, _BATCH)):
        size = reader.bytes_of_events([build.build_request_id for build in batch])
        yield Batch(batch, sum(build.last_sequence for build in batch), size)


def prune_builds(pruner: Pruner, reader: LogSize, builds: Iterable[BuildRecord], now: float) -> Iterator[Batch]:
    """Prunes builds, and yields each batch when it is done; then what earlier ones left and nobody needs any more.

    Args:
        pruner: Prunes them.
        reader: Measures what is removed.
        builds: The builds.
        now: The time, in seconds since the epoch.

    Raises:
        EventLogError: The event log failed; what was done until then stays done.
    """
    for batch in batches(reader, builds):
        pruner.prune([build.build_request_id for build in batch.builds], now)
        yield batch
    pruner.resume()
