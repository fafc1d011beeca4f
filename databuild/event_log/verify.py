"""Checks an event log: its events against what they promise, and its read models against its events.

Replays the log through the projection that keeps the read models into a log in memory, page by page, and compares row
by row. Everything is read from one state of the log, so that builds may go on meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from google.protobuf.message import DecodeError

from databuild.errors import EventLogError
from databuild.event_log.comparison import differences, pages
from databuild.event_log.promises import Promises
from databuild.event_log.reads import TableReads
from databuild.event_log.sqlite.reader import SqliteReader
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.event_log.tables import CLAIMS, EVENTS, HOLDINGS, LEASES, READ_MODELS, SHARERS, SNAPSHOTS
from databuild.model.lifecycle import JOB_ENDS, OPERATIONS, job_status_name
from databuild.model.views import Difference, Verification
from databuild.v1.events_pb2 import BuildEvent

MAX_REPORTED_FAULTS: Final = 50
"""How many faults are told of; the others are counted."""

_BATCH: Final = 1000
_JOB_ENDS: Final = frozenset(job_status_name(status) for status in JOB_ENDS)


def verify(reader: TableReads, builds: Collection[str] = ()) -> Verification:
    """Checks a log.

    Args:
        reader: Reads the log.
        builds: The builds whose faults matter; all, and what is of no build, where there are none.

    Raises:
        EventLogError: The log cannot be read.
    """
    path = f"file:databuild-verify-{os.getpid()}-{id(reader)}?mode=memory&cache=shared"
    writer = SqliteWriter(path)
    replayed = SqliteReader(path)
    try:
        with reader.snapshot():
            return _Verifying(reader, frozenset(builds), writer, replayed).run()
    finally:
        replayed.close()
        writer.close()


class _Verifying:
    def __init__(
        self, reader: TableReads, builds: frozenset[str], writer: SqliteWriter, replayed: SqliteReader
    ) -> None:
        self._reader = reader
        self._only = builds
        self._writer = writer
        self._replayed = replayed
        self._events = 0
        self._builds: set[str] = set()
        self._pruned: frozenset[str] = frozenset()
        self._faults = 0
        self._told: list[Difference] = []
        self._promises = Promises(self._tell)

    def run(self) -> Verification:
        self._restore()
        batch: dict[int, BuildEvent] = {}
        for position, event in self._read():
            self._promises.judge(event)
            batch[position] = event
            if len(batch) == _BATCH:
                self._replay(batch)
                batch.clear()
        self._replay(batch)
        self._check_what_is_held()
        for table in READ_MODELS:
            for difference in differences(table, self._replayed, self._reader):
                self._tell(*difference)
        return Verification(self._events, len(self._builds), self._faults, tuple(self._told))

    def _tell(self, build: str, message: str) -> None:
        if self._only and build not in self._only:
            return
        self._faults += 1
        if self._faults <= MAX_REPORTED_FAULTS:
            self._told.append(Difference(build, message))

    def _restore(self) -> None:
        """Takes over what pruning has kept: what is left of pruned builds, and what their events added up to."""
        for table in READ_MODELS:
            if table.name == "builds":
                pruned = table.columns.index("pruned_time")
                kept = [row for row in pages(self._reader, table) if row[pruned]]
                self._pruned = frozenset(build for build, *_ in kept)
                self._writer.restore(table, kept)
            elif "build_request_id" in table.columns and table.name != "partitions":
                build = table.columns.index("build_request_id")
                self._writer.restore(table, (row for row in pages(self._reader, table) if row[build] in self._pruned))
        self._writer.restore(SNAPSHOTS, pages(self._reader, SNAPSHOTS))
        self._writer.restart()

    def _read(self) -> Iterator[tuple[int, BuildEvent]]:
        """Yields the events that can be read, and checks that they are filed as what they are."""
        for row in pages(self._reader, EVENTS):
            position, build, sequence, payload = row
            if build in self._pruned:
                continue  # the pruning was interrupted; what is left of the events has nothing to add
            try:
                event = BuildEvent.FromString(payload)
            except DecodeError:
                self._tell(build, f"event {sequence} of build {build}, at position {position}, cannot be read")
                continue
            if (event.build_request_id, event.sequence, event.event_id) != (build, sequence, f"{build}/{sequence}"):
                self._tell(
                    build,
                    f"event {sequence} of build {build} says that it is {event.event_id!r}, "
                    f"number {event.sequence} of {event.build_request_id!r}",
                )
            if not self._only or event.build_request_id in self._only:
                self._events += 1
                if event.WhichOneof("event") not in OPERATIONS:
                    self._builds.add(event.build_request_id)
            yield position, event

    def _replay(self, events: Mapping[int, BuildEvent]) -> None:
        try:
            self._writer.replay(events)
        except EventLogError:
            for position, event in events.items():
                self._replay_one(position, event)

    def _replay_one(self, position: int, event: BuildEvent) -> None:
        try:
            self._writer.replay({position: event})
        except EventLogError as error:
            build = event.build_request_id
            self._tell(build, f"event {event.sequence} of build {build} adds up to nothing: {error}")

    def _check_what_is_held(self) -> None:
        """Checks that builds and job runs which have ended hold nothing any more."""
        ended = self._promises.ended
        for build, *_ in pages(self._reader, LEASES):
            if build in ended:
                self._tell(build, f"build {build} has ended and still has a lease")
        for ref, build, run, _ in pages(self._reader, CLAIMS):
            if build in ended:
                self._tell(build, f"build {build} has ended and still claims {ref!r} for job run {run}")
        for build, *_ in pages(self._reader, SHARERS):
            if build in ended:
                self._tell(build, f"build {build} has ended and still takes turns with resources")
        for run, resource, build, _ in pages(self._reader, HOLDINGS):
            record = self._replayed.job_run(run)
            if build in ended or (record is not None and record.status in _JOB_ENDS):
                self._tell(build, f"job run {run} has ended and still holds the resource {resource!r}")
