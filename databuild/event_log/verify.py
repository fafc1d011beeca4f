"""Verifies an event log: its events against the invariants, and its read models against its events.

The events are replayed through the same projection into a log in memory, page by page, and the read models are compared
row by row. Everything is read from one snapshot, so that builds can run meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from google.protobuf.message import DecodeError

from databuild.errors import EventLogError
from databuild.event_log.comparison import differences, pages
from databuild.event_log.invariants import Invariants
from databuild.event_log.reads import TableReads
from databuild.event_log.sqlite.reader import SqliteReader
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.event_log.tables import CLAIMS, EVENTS, HOLDINGS, LEASES, READ_MODELS, SHARERS, SNAPSHOTS
from databuild.model import statuses
from databuild.model.lifecycle import OPERATIONS
from databuild.model.views import LogFault, Verification
from databuild.v1.events_pb2 import BuildEvent

MAX_REPORTED_FAULTS: Final = 50
"""The maximum number of faults in a result; further ones are only counted."""

_BATCH: Final = 1000


def verify(reader: TableReads, builds: Collection[str] = ()) -> Verification:
    """Verifies a log.

    Args:
        reader: Reads the log.
        builds: The builds whose faults are reported; if empty, those of all builds and of the log itself.

    Raises:
        EventLogError: The log cannot be read.
    """
    # Connections with the same name share one database in memory (sqlite.org/inmemorydb.html).
    path = f"file:databuild-verify-{os.getpid()}-{id(reader)}?mode=memory&cache=shared"
    writer = SqliteWriter(path)
    replayed = SqliteReader(path)
    try:
        with reader.snapshot():
            return _Verifier(reader, frozenset(builds), writer, replayed).run()
    finally:
        replayed.close()
        writer.close()


class _Verifier:
    def __init__(
        self, reader: TableReads, builds: frozenset[str], writer: SqliteWriter, replayed: SqliteReader
    ) -> None:
        self._reader = reader
        self._reported_builds = builds
        self._writer = writer
        self._replayed = replayed
        self._events = 0
        self._builds: set[str] = set()
        self._pruned: frozenset[str] = frozenset()
        self._faults = 0
        self._reported: list[LogFault] = []
        self._invariants = Invariants(self._report)

    def run(self) -> Verification:
        self._restore()
        batch: dict[int, BuildEvent] = {}
        for position, event in self._read():
            self._invariants.check(event)
            batch[position] = event
            if len(batch) == _BATCH:
                self._replay(batch)
                batch.clear()
        self._replay(batch)
        self._writer.fill_uses()
        self._check_released()
        for table in READ_MODELS:
            for fault in differences(table, self._replayed, self._reader):
                self._report(*fault)
        return Verification(self._events, len(self._builds), self._faults, tuple(self._reported))

    def _report(self, build: str, message: str) -> None:
        if self._reported_builds and build not in self._reported_builds:
            return
        self._faults += 1
        if self._faults <= MAX_REPORTED_FAULTS:
            self._reported.append(LogFault(build, message))

    def _restore(self) -> None:
        """Copies the rows of pruned builds and the snapshots of partitions, which cannot be computed from events."""
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
        self._writer.reset_read_models()

    def _read(self) -> Iterator[tuple[int, BuildEvent]]:
        """Yields the events that can be parsed, and checks that their columns agree with their payloads."""
        for row in pages(self._reader, EVENTS):
            position, build, sequence, payload = row
            if build in self._pruned:
                continue  # the pruning was interrupted; snapshots already include the remaining events
            try:
                event = BuildEvent.FromString(payload)
            except DecodeError:
                self._report(build, f"event {sequence} of build {build}, at position {position}, cannot be read")
                continue
            if (event.build_request_id, event.sequence, event.event_id) != (build, sequence, f"{build}/{sequence}"):
                self._report(
                    build,
                    f"event {sequence} of build {build} says that it is {event.event_id!r}, "
                    f"number {event.sequence} of {event.build_request_id!r}",
                )
            if not self._reported_builds or event.build_request_id in self._reported_builds:
                self._events += 1
                if event.WhichOneof("event") not in OPERATIONS:
                    self._builds.add(event.build_request_id)
            yield position, event

    def _replay(self, events: Mapping[int, BuildEvent]) -> None:
        try:
            self._writer.replay(events)
        except EventLogError:  # nothing was written; find the event at fault
            for position, event in events.items():
                self._replay_one(position, event)

    def _replay_one(self, position: int, event: BuildEvent) -> None:
        try:
            self._writer.replay({position: event})
        except EventLogError as error:
            build = event.build_request_id
            self._report(build, f"event {event.sequence} of build {build} cannot be replayed: {error}")

    def _check_released(self) -> None:
        """Checks that ended builds and job runs hold no leases, claims or resources."""
        ended = self._invariants.ended
        for build, *_ in pages(self._reader, LEASES):
            if build in ended:
                self._report(build, f"build {build} has ended and still has a lease")
        for ref, build, run, _ in pages(self._reader, CLAIMS):
            if build in ended:
                self._report(build, f"build {build} has ended and still claims {ref!r} for job run {run}")
        for build, *_ in pages(self._reader, SHARERS):
            if build in ended:
                self._report(build, f"build {build} has ended and still takes turns with resources")
        for run, resource, build, _ in pages(self._reader, HOLDINGS):
            # A run is unknown between its claim and its first event.
            record = self._replayed.job_run(run)
            if build in ended or (record is not None and record.status in statuses.JOB.ended):
                self._report(build, f"job run {run} has ended and still holds the resource {resource!r}")
