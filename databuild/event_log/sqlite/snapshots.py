"""What pruned events added up to, in SQLite: where computing the read models anew starts from.

Each function is called inside a transaction of the writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from databuild.event_log.projection import refs_of
from databuild.event_log.sqlite.connection import QUERIES
from databuild.model.paging import read_pages
from databuild.v1 import events_pb2 as ev

_RESTART: Final = (
    "clear_builds",
    "clear_build_partitions",
    "clear_job_runs",
    "clear_partitions",
    "clear_counts",
    "restore_partitions",
)

Settled = frozenset[tuple[str, str]]
"""What is known already, as `Changes` takes it."""

NOTHING_SETTLED: Settled = frozenset()


def restart(connection: sqlite3.Connection) -> None:
    """Makes the read models what they are before any event that is left."""
    for query in _RESTART:
        connection.execute(QUERIES[query])


def pages(connection: sqlite3.Connection) -> Iterator[tuple[Sequence[ev.BuildEvent], Settled]]:
    """Yields the events that are left, in order, with what of them is known already."""
    query = QUERIES["unpruned_events"]
    rows: Iterator[Sequence[tuple[int, bytes]]] = read_pages(
        lambda after, limit: connection.execute(query, {"after": after, "limit": limit}).fetchall(),
        key=lambda row: row[0],
        start=0,
    )
    for page in rows:
        events = {position: ev.BuildEvent.FromString(payload) for position, payload in page}
        yield tuple(events.values()), settled(connection, events)


def settled(connection: sqlite3.Connection, events: Mapping[int, ev.BuildEvent]) -> Settled:
    """Returns what of events, given by their positions, is known already."""
    refs = {ref for event in events.values() for ref in refs_of(event)}
    known = dict(connection.execute(QUERIES["snapshot_positions"], {"keys": json.dumps(sorted(refs))}))
    return frozenset(
        (event.event_id, ref)
        for position, event in events.items()
        for ref in refs_of(event)
        if position <= known.get(ref, 0)
    )
