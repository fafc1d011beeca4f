"""Pruning of builds and job logs by age and number, in parts, so that it can be interrupted after any part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from databuild.event_log.log import Pruner
from databuild.event_log.reads import Reader
from databuild.model.pruning import Pruned, PrunedBuild, PruneOptions
from databuild.model.records import BuildRecord
from databuild.orchestration.logs.log_folders import LogFolders, prunable_logs, prune_logs
from databuild.orchestration.maintenance.retention import Batch, batches, builds_to_prune, prune_builds


def prunable(reader: Reader, places: Sequence[LogFolders], options: PruneOptions, now: float) -> Pruned:
    """Returns the builds, events and logs that `prune` would remove; changes nothing.

    Args:
        reader: Reads the event log.
        places: The places of job logs.
        options: The selection.
        now: The time, in seconds since the epoch.
    """
    parts = [_part(batch) for batch in batches(reader, _builds(reader, options, now))]
    builds = tuple(build for part in parts for build in part.builds)
    chosen = frozenset(build.build_request_id for build in builds)
    before = _logs_before(options, now)
    logs = [log for place in places for log in prunable_logs(reader, place, before=before, also=chosen.__contains__)]
    events, event_bytes = sum(part.events for part in parts), sum(part.event_bytes for part in parts)
    return Pruned(builds, events, event_bytes, len({build for build, _ in logs}), sum(size for _, size in logs))


def prune(
    reader: Reader, pruner: Pruner, places: Sequence[LogFolders], options: PruneOptions, now: float
) -> Iterator[Pruned]:
    """Prunes in parts, and yields each part when it is done. After an interruption, the next pruning continues.

    Args:
        reader: Reads the event log.
        pruner: Prunes it.
        places: The places of job logs.
        options: The selection.
        now: The time, in seconds since the epoch.

    Raises:
        EventLogError: The event log failed.
        OSError: A folder cannot be removed.
        StorageError: A store of logs cannot be used.
    """
    if options.builds:
        for batch in prune_builds(pruner, reader, _builds(reader, options, now), now):
            yield _part(batch)
        yield Pruned(freed_bytes=pruner.vacuum())
    counted: set[str] = set()
    for place in places:
        for build, size in prune_logs(reader, place, before=_logs_before(options, now)):
            yield Pruned(log_builds=int(build not in counted), log_bytes=size)
            counted.add(build)


def _builds(reader: Reader, options: PruneOptions, now: float) -> Iterator[BuildRecord]:
    if not options.builds:
        return iter(())
    age = options.older_than_seconds
    return builds_to_prune(reader, before=None if age is None else now - age, keep=options.keep or 0)


def _logs_before(options: PruneOptions, now: float) -> float:
    age = options.logs_older_than_seconds
    return 0.0 if age is None else max(now - age, 0.0)


def _part(batch: Batch) -> Pruned:
    builds = tuple(
        PrunedBuild(build.build_request_id, build.status, build.updated_time, build.last_sequence)
        for build in batch.builds
    )
    return Pruned(builds, batch.events, batch.bytes)
