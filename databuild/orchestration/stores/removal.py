"""Forgetting and deleting data of partitions.

A deletion is recorded before the data is removed from its store, so that no build plans with data that is going, and
nothing is unknown after a crash. Builds that planned before that keep their inputs: their plans are read after the
event, when those that were planning have finished. A second event says that the data is gone; without it, a repeat
continues.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Final, TypeVar

from databuild.errors import InvalidRequestError
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.event_log.reads import Reader
from databuild.executors.executor import ProcessExecutor
from databuild.job.locations import file_path
from databuild.model.build_request_id import new_build_request_id
from databuild.model.records import Location, PlacedData
from databuild.model.removal import Deletion, Forgotten, RemovedData
from databuild.orchestration.coordination.coordination import Coordination
from databuild.orchestration.coordination.dead_builds import engine_of
from databuild.orchestration.maintenance.operations import operation
from databuild.orchestration.stores.data_uses import DataUses, all_rows, places_in_environments
from databuild.orchestration.stores.deletion import DataStores, Found
from databuild.orchestration.stores.gone_folders import faults_of, gone_folders
from databuild.orchestration.stores.places import SharedPlaces
from databuild.orchestration.stores.selection import Selection
from databuild.storage.storages import Storages
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_T = TypeVar("_T")
_PAGE: Final = 10_000
_POLL_SECONDS: Final = 0.1
_DELETED: Final = "DELETED"
_NO_LOCATION: Final = "no job has reported its location; only the event log can forget it"


class Removals:
    """Forgets and deletes data. Used from one event loop; reads and stores are used in threads.

    Args:
        event_log: Records removals.
        executor: Ends processes of dead builds.
        storages: The stores of objects.
        produced: Returns True for refs that a job of the graph produces. Others are left out.
        protected: Paths that are never removed, nor folders that contain them.
        clock: Returns the time in seconds since the epoch.
        sleep: Waits for a number of seconds.
        max_planning_seconds: The time for which a deletion waits for builds that are planning.
        environments: The logs of the environments, which use the data; None for none.
    """

    def __init__(
        self,
        event_log: EventLog,
        executor: ProcessExecutor,
        storages: Storages,
        *,
        produced: Callable[[str], bool],
        protected: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        max_planning_seconds: float = 60.0,
        environments: EnvironmentLogs | None = None,
    ) -> None:
        self._event_log = event_log
        self._executor = executor
        self._storages = storages
        self._produced = produced
        self._protected = tuple(protected)
        self._clock = clock
        self._sleep = sleep
        self._environments = environments
        self._max_polls = int(max_planning_seconds / _POLL_SECONDS)

    async def forget(self, selection: Selection, *, author: str, reason: str) -> Forgotten:
        """Makes the event log forget the data of partitions, which stays in its store.

        Partitions without data, and those that were forgotten before, are left out. Each page is recorded on its own.

        Raises:
            InvalidRequestError: There is no reason.
            RemovalRefusedError: A build claims a partition.
            EventLogError: The event log failed.
        """
        _check_reason(reason)
        await self._end_dead_builds()
        refs: list[str] = []
        operations: list[str] = []
        after, more = "", True
        while more:
            rows, after = await self._page(selection, after, _PAGE)
            known = {
                row.ref: row.version for row in rows if row.version and (row.removed != "FORGOTTEN" or row.available)
            }
            if known:
                operations.append(await self._record(pt.PARTITION_STATUS_FORGOTTEN, known, author, reason))
                refs += known
            more = bool(after)
        return Forgotten(tuple(refs), author, tuple(operations))

    async def delete_part(
        self,
        selection: Selection,
        *,
        author: str,
        reason: str,
        force: bool = False,
        dry_run: bool = False,
        after: str = "",
        limit: int = _PAGE,
    ) -> Deletion:
        """Deletes the data of the next part of a selection. Data with a fault is left as it is.

        Partitions without data are left out, and those whose data was deleted before.

        Args:
            selection: The partitions.
            author: The user.
            reason: The reason.
            force: True to delete data whose version is not the recorded one, or is not recorded.
            dry_run: True to change nothing.
            after: The last ref of the part before; empty for the first part.
            limit: The maximum number of partitions.

        Raises:
            InvalidRequestError: There is no reason.
            RemovalRefusedError: A build has claimed a partition just now; nothing of this part was deleted.
            EventLogError: The event log failed.
        """
        if not dry_run:
            _check_reason(reason)
        await self._end_dead_builds()
        rows, next_after = await self._page(selection, after, limit)
        rows = [row for row in rows if row.version and not (row.removed == _DELETED and row.location is None)]
        looked = await self.look(rows, force=force)
        if dry_run:
            return Deletion(tuple(looked), next_after)
        chosen = [row for row, one in zip(rows, looked, strict=True) if not one.fault]
        done = {one.ref: one for one in await self.delete(chosen, author=author, reason=reason, force=force)}
        return Deletion(tuple(done.get(one.ref, one) for one in looked), next_after, author)

    async def look(self, rows: Sequence[PlacedData], *, force: bool = False) -> list[RemovedData]:
        """Returns, for each row, what would be removed, or why it would not be."""
        faults = await self._read(lambda reader: _faults(reader, rows, self._environments))
        places = [(row, row.location) for row in rows if row.location is not None and row.ref not in faults]
        stores = DataStores(self._storages, self._protected, force=force)
        found = await asyncio.to_thread(stores.look, [location for _, location in places])
        seen = dict(zip([row.ref for row, _ in places], found, strict=True))
        # Of a row that is not available, the loss is recorded, or a deletion has removed the data before.
        absent = {row.ref: location for row, location in places if row.available and seen[row.ref] == Found(0)}
        if absent:
            faults = {**faults, **await self._read(lambda reader: _faults_of_folders(reader, absent))}
        return [
            RemovedData(row.ref, _uri(row), 0, faults[row.ref])
            if row.ref in faults
            else RemovedData(row.ref, _uri(row), seen[row.ref].size, seen[row.ref].fault)
            for row in rows
        ]

    async def delete(
        self, rows: Sequence[PlacedData], *, author: str, reason: str, force: bool = False
    ) -> list[RemovedData]:
        """Deletes data that `look` has found no fault with.

        Raises:
            RemovalRefusedError: A build has claimed a partition just now; nothing was deleted.
        """
        if not rows:
            return []
        new = {row.ref: row.version for row in rows if row.removed != _DELETED or row.available}
        if new:
            await self._record(pt.PARTITION_STATUS_DELETED, new, author, reason)
        faults = await self._faults_of_plans([row.ref for row in rows])
        versions = {row.ref: row.version for row in rows}
        current = await self._read(lambda reader: _still_deleted(reader, versions))
        places: list[tuple[str, Location]] = []
        for row in rows:
            if row.ref not in current:
                faults.setdefault(row.ref, "a build has begun to rebuild it")
            elif row.ref not in faults:
                places.append((row.ref, current[row.ref]))
        stores = DataStores(self._storages, self._protected, force=force)
        found = await asyncio.to_thread(stores.delete, [location for _, location in places])
        done = dict(zip([ref for ref, _ in places], found, strict=True))
        gone = {ref: versions[ref] for ref, one in done.items() if not one.fault}
        if gone:
            await self._record(pt.PARTITION_STATUS_DELETED, gone, author, reason, completed=True)
        return [
            RemovedData(row.ref, _uri(row), done[row.ref].size, done[row.ref].fault)
            if row.ref in done
            else RemovedData(row.ref, _uri(row), 0, faults[row.ref])
            for row in rows
        ]

    async def _page(self, selection: Selection, after: str, limit: int) -> tuple[Sequence[PlacedData], str]:
        rows, next_after = await self._read(
            lambda reader: selection.page(
                reader.placed_data_of, reader.placed_data_under, after, limit, ref=lambda row: row.ref
            )
        )
        return [row for row in rows if self._produced(row.ref)], next_after

    async def _faults_of_plans(self, refs: Sequence[str]) -> dict[str, str]:
        """Waits for the builds that are planning now, and returns why data must stay, by ref."""

        def read(reader: Reader) -> DataUses:
            return DataUses(reader, self._environments, refs)

        uses = await self._read(read)
        waiting = frozenset(uses.planning)
        for _ in range(self._max_polls):
            if waiting.isdisjoint(uses.planning):
                break
            await self._sleep(_POLL_SECONDS)
            uses = await self._read(read)
        if still := sorted(waiting.intersection(uses.planning)):
            fault = f"build {still[0]} is planning and may read it; repeat the deletion when it has a plan"
            return dict.fromkeys(refs, fault) | uses.faults
        return uses.faults

    async def _record(
        self,
        kind: pt.PartitionStatus,
        versions: Mapping[str, str],
        author: str,
        reason: str,
        *,
        completed: bool = False,
    ) -> str:
        removal = ev.RemovalEvent(
            partitions=[ev.RemovedPartition(ref=ref, version=version) for ref, version in versions.items()],
            kind=kind,
            author=author,
            reason=reason,
            completed=completed,
        )
        event = operation(self._clock, removal=removal)
        await self._event_log.append([event])
        return event.build_request_id

    async def _end_dead_builds(self) -> None:
        """Ends dead builds, whose claims and plans would stand in the way, except those that can be continued."""

        def on_engine(build: str, _holder: str) -> bool:
            return bool(engine_of(reader, build))

        with closing(self._event_log.reader()) as reader:
            coordination = Coordination(
                self._event_log,
                reader,
                self._executor,
                new_build_request_id(self._clock()),
                clock=self._clock,
                lease_seconds=0,
                continue_build=on_engine,
            )
            await coordination.end_dead_builds()

    async def _read(self, read: Callable[[Reader], _T]) -> _T:
        return await read_in_thread(self._event_log, read)


async def read_in_thread(event_log: EventLog, read: Callable[[Reader], _T]) -> _T:
    """Reads an event log in a thread, with a reader of its own."""

    def in_thread() -> _T:
        with closing(event_log.reader()) as reader:
            return read(reader)

    return await asyncio.to_thread(in_thread)


def _faults(reader: Reader, rows: Sequence[PlacedData], environments: EnvironmentLogs | None) -> dict[str, str]:
    """Returns why data cannot be deleted, by ref, as far as the event logs tell."""
    uses = DataUses(reader, environments, [row.ref for row in rows])
    claimed = reader.claimed([row.ref for row in rows])
    faults: dict[str, str] = {}
    for row in rows:
        if row.ref in claimed:
            faults[row.ref] = f"build {claimed[row.ref]} makes it"
        elif row.ref in uses.faults:
            faults[row.ref] = uses.faults[row.ref]
        elif row.removed == "FORGOTTEN":
            faults[row.ref] = "it was forgotten; adopt it first"
        elif row.location is None:
            faults[row.ref] = _NO_LOCATION
    places = {row.ref: row.location.uri for row in rows if row.location is not None and row.ref not in faults}
    if places:
        shared = SharedPlaces(places)
        for page in all_rows(reader):
            shared.compare(page)
        faults.update(places_in_environments(places, environments))
        faults.update(shared.faults)
    return faults


def _faults_of_folders(reader: Reader, places: Mapping[str, Location]) -> dict[str, str]:
    """Returns, by ref, why data is not deleted that is not there: its whole folder is gone, as if a disk were away."""
    absent = []
    for ref, location in places.items():
        if location.uri.startswith("file:"):
            path = file_path(location.uri).rstrip("/")
            if not os.path.lexists(path):
                absent.append((ref, path.rpartition("/")[0]))
    return {
        ref: f"{fault}; let `partitions verify` record the loss first, or forget it"
        for ref, fault in faults_of(gone_folders(absent), reader).items()
    }


def _still_deleted(reader: Reader, versions: Mapping[str, str]) -> dict[str, Location]:
    """Returns the locations of deleted data that no build has begun to make again, by ref."""
    claimed = reader.claimed(list(versions))
    return {
        row.ref: row.location
        for row in reader.placed_data_of(list(versions))
        if row.removed == _DELETED
        and not row.available
        and row.ref not in claimed
        and row.version == versions[row.ref]
        and row.location is not None
    }


def _uri(row: PlacedData) -> str:
    return row.location.uri if row.location is not None else ""


def _check_reason(reason: str) -> None:
    if not reason:
        raise InvalidRequestError("the request has no reason; say why the data is removed")
