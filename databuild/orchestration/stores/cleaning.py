"""Cleaning: deletes data that is older than the retention of its job, and what killed job runs left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Final

from databuild.errors import RemovalRefusedError
from databuild.event_log.log import EventLog
from databuild.event_log.reads import LineageReads, PlacedDataReads, Reader
from databuild.graph.catalog import JobCatalog
from databuild.graph.patterns import PartitionPattern
from databuild.job.locations import file_path
from databuild.model.pacing import slices
from databuild.model.paging import read_rows
from databuild.model.records import PartitionUse, PlacedData
from databuild.model.removal import Cleaning, CleanOptions, RemovedData
from databuild.orchestration.stores.data_uses import all_rows
from databuild.orchestration.stores.leftovers import Leftover, Leftovers
from databuild.orchestration.stores.removal import Removals, read_in_thread
from databuild.tuples import NamedTuple

REASON: Final = "older than the retention of its job"

_CHUNK: Final = 1000
_PAGE: Final = 10_000


class _Old(NamedTuple):
    """Data to delete, and the folders of all data.

    Attributes:
        expired: The data that is older than the retention of its job.
        unfinished: The data whose deletion was interrupted.
        folders: The folders of all recorded files.
    """

    expired: Sequence[PlacedData]
    unfinished: Sequence[PlacedData]
    folders: Set[str]


class Cleaner:
    """Cleans the stores of one event log.

    Args:
        event_log: The event log.
        catalog: The jobs.
        removals: Deletes data.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(
        self, event_log: EventLog, catalog: JobCatalog, removals: Removals, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._event_log = event_log
        self._catalog = catalog
        self._removals = removals
        self._clock = clock

    async def clean(self, options: CleanOptions, *, author: str, stop: Callable[[], bool] = lambda: False) -> Cleaning:
        """Deletes old data and leftovers in parts.

        Args:
            options: The options.
            author: The user.
            stop: Returns True to stop after the current part.

        Raises:
            EventLogError: The event log failed; what was deleted is recorded.
        """
        now = self._clock()
        old = await read_in_thread(self._event_log, lambda reader: _old(reader, self._catalog, now))
        rows = [*old.expired, *old.unfinished]
        looked = dict(zip([row.ref for row in rows], await self._removals.look(rows), strict=True))
        deletable = frozenset(ref for ref, one in looked.items() if not one.fault)
        kept: Set[str] = frozenset()
        if not options.delete_inputs:
            expired = deletable.intersection(row.ref for row in old.expired)
            kept = await read_in_thread(self._event_log, lambda reader: _inputs_to_keep(reader, expired))
        chosen = [row for row in rows if row.ref in deletable and row.ref not in kept]
        result = Cleaning(kept=len(kept)).with_data([one for one in looked.values() if one.fault])
        if options.dry_run:
            result = result.with_data([looked[row.ref] for row in chosen])
        else:
            for part in slices(chosen, _CHUNK):
                if stop():
                    return result._replace(more=True)
                result = result.with_data(await self._delete(part, author))
        found = await read_in_thread(
            self._event_log, lambda reader: _leftovers(reader, old.folders, now, remove=not options.dry_run)
        )
        return result._replace(leftovers=len(found), leftover_bytes=sum(one.size for one in found))

    async def _delete(self, rows: Sequence[PlacedData], author: str) -> list[RemovedData]:
        """Deletes data, except that which a build has claimed meanwhile."""
        refused: dict[str, str] = {}
        while True:
            free = [row for row in rows if row.ref not in refused]
            try:
                done = await self._removals.delete(free, author=author, reason=REASON)
            except RemovalRefusedError as error:
                refused.update(error.faults)
                continue
            return done + [RemovedData(ref, fault=fault) for ref, fault in refused.items()]


def _old(reader: PlacedDataReads, catalog: JobCatalog, now: float) -> _Old:
    retentions = [
        (pattern, now - job.retention_seconds)
        for job in catalog.jobs.values()
        if job.retention_seconds is not None
        for pattern in job.patterns
    ]
    expired: list[PlacedData] = []
    unfinished: list[PlacedData] = []
    folders: set[str] = set()
    for page in all_rows(reader):
        for row in page:
            if row.location is not None:
                if row.location.uri.startswith("file:"):
                    folders.add(row.location.uri.rstrip("/").rpartition("/")[0])
                if row.removed == "DELETED" and not row.available:
                    unfinished.append(row)
            if row.available and _is_expired(row, retentions):
                expired.append(row)
    return _Old(expired, unfinished, folders)


def _is_expired(row: PlacedData, retentions: Iterable[tuple[PartitionPattern, float]]) -> bool:
    return any(
        row.time < before and row.ref.startswith(pattern.prefix) and pattern.match(row.ref) is not None
        for pattern, before in retentions
    )


def _inputs_to_keep(reader: LineageReads, refs: Set[str]) -> Set[str]:
    """Returns those of some partitions from which available ones were made that are not deleted with them."""
    users = _available_users(reader, refs)
    inputs: dict[str, set[str]] = {}
    for used, outputs in users.items():
        for output in outputs & refs:
            inputs.setdefault(output, set()).add(used)
    kept = {used for used, outputs in users.items() if outputs - refs}
    waiting = list(kept)
    while waiting:
        more = inputs.get(waiting.pop(), set()) - kept
        kept |= more
        waiting += more
    return kept


def _available_users(reader: LineageReads, refs: Iterable[str]) -> Mapping[str, set[str]]:
    """Returns the available partitions that were made from each partition, in one step."""
    users: dict[str, set[str]] = {}
    for some in slices(sorted(refs), _CHUNK):
        uses = _uses(reader, some)
        outputs = _outputs(reader, {use.job_run_id for use in uses if use.job_run_id})
        for use in uses:
            users.setdefault(use.input, set()).update(outputs.get(use.job_run_id, ()), {use.output} - {""})
    available: set[str] = set()
    for some_users in slices(sorted(set().union(*users.values())), _CHUNK):
        available.update(ref for ref, state in reader.partition_states(some_users).items() if state.available)
    return {ref: outputs & available for ref, outputs in users.items()}


def _uses(reader: LineageReads, refs: Sequence[str]) -> list[PartitionUse]:
    uses: list[PartitionUse] = []
    while page := reader.uses(refs, after=uses[-1].key if uses else None, limit=_PAGE):
        uses += page
    return uses


def _outputs(reader: LineageReads, runs: Set[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    pages = read_rows(
        lambda after, limit: reader.outputs_of_runs(runs, after=after, limit=limit),
        key=lambda output: output,
        start=("", ""),
    )
    for run, ref in pages:
        found.setdefault(run, []).append(ref)
    return found


def _leftovers(reader: Reader, folders: Iterable[str], now: float, *, remove: bool) -> list[Leftover]:
    paths = []
    for uri in sorted(folders):
        try:
            paths.append(file_path(f"{uri}/").rstrip("/"))
        except ValueError:  # of another machine
            continue
    leftovers = Leftovers(reader, now)
    return [one for one in leftovers.below(paths) if not remove or leftovers.remove(one)]
