"""Snapshots of partitions in SQLite, which replace pruned events when the read models are rebuilt.

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

_RESET_QUERIES: Final = (
    "clear_builds",
    "clear_build_requests",
    "clear_build_partitions",
    "clear_job_runs",
    "clear_placements",
    "clear_metrics",
    "clear_checks",
    "clear_schemas",
    "clear_partitions",
    "clear_counts",
    "clear_uses",
    "restore_partitions",
)
_FILL_QUERIES: Final = ("fill_uses_of_runs", "fill_uses_of_outputs")

Covered = frozenset[tuple[str, str]]
"""Pairs of an event id and a ref for which a snapshot already includes the event, as `Changes` expects them."""

NOTHING_COVERED: Covered = frozenset()


def reset_read_models(connection: sqlite3.Connection) -> None:
    """Resets the read models to the state before the first event that has not been pruned."""
    for query in _RESET_QUERIES:
        connection.execute(QUERIES[query])


def fill_uses(connection: sqlite3.Connection) -> None:
    """Fills the index of uses from the other read models; a replay does not change it."""
    for query in _FILL_QUERIES:
        connection.execute(QUERIES[query])


def pages(connection: sqlite3.Connection) -> Iterator[tuple[Mapping[int, ev.BuildEvent], Covered]]:
    """Yields the events that have not been pruned, by position, with the parts that snapshots already include."""
    query = QUERIES["unpruned_events"]
    rows: Iterator[Sequence[tuple[int, bytes]]] = read_pages(
        lambda after, limit: connection.execute(query, {"after": after, "limit": limit}).fetchall(),
        key=lambda row: row[0],
        start=0,
    )
    for page in rows:
        events = {position: ev.BuildEvent.FromString(payload) for position, payload in page}
        yield events, covered(connection, events)


def covered(connection: sqlite3.Connection, events: Mapping[int, ev.BuildEvent]) -> Covered:
    """Returns the parts of events, given by their positions, that snapshots already include."""
    refs = {ref for event in events.values() for ref in refs_of(event)}
    positions = dict(connection.execute(QUERIES["snapshot_positions"], {"keys": json.dumps(sorted(refs))}))
    return frozenset(
        (event.event_id, ref)
        for position, event in events.items()
        for ref in refs_of(event)
        if position <= positions.get(ref, 0)
    )
