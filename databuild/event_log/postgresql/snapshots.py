"""Snapshots of partitions in PostgreSQL, which replace pruned events when the read models are rebuilt.

Each function is called inside a transaction of the writer that excludes all other writers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from databuild.event_log.postgresql.connection import QUERIES
from databuild.event_log.postgresql.statements import as_json
from databuild.event_log.projection import refs_of
from databuild.model.paging import read_pages
from databuild.v1 import events_pb2 as ev

_PAGE: Final = 10_000
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
    "restore_counts",
)
_FILL_QUERIES: Final = ("fill_uses_of_runs", "fill_uses_of_outputs")


def reset_read_models(connection: psycopg.Connection[Any]) -> None:
    """Resets the read models to the state before the first event that has not been pruned."""
    for query in _RESET_QUERIES:
        connection.execute(QUERIES[query].encode())


def fill_uses(connection: psycopg.Connection[Any]) -> None:
    """Fills the index of uses from the other read models; a replay does not change it."""
    for query in _FILL_QUERIES:
        connection.execute(QUERIES[query].encode())


def pages(connection: psycopg.Connection[Any]) -> Iterator[tuple[Sequence[ev.BuildEvent], frozenset[tuple[str, str]]]]:
    """Yields the events that have not been pruned, in order, with the parts that snapshots already include."""
    positions_query = QUERIES["snapshot_positions"].encode()
    events_query = QUERIES["unpruned_events"].encode()
    rows: Iterator[Sequence[tuple[int, bytes]]] = read_pages(
        lambda after, limit: connection.execute(events_query, {"after": after, "limit": limit}, binary=True).fetchall(),
        key=lambda row: row[0],
        start=0,
        size=_PAGE,
    )
    for page in rows:
        events = {position: ev.BuildEvent.FromString(payload) for position, payload in page}
        refs = {ref for event in events.values() for ref in refs_of(event)}
        positions = dict(connection.execute(positions_query, {"keys": as_json(sorted(refs))}).fetchall())
        yield (
            tuple(events.values()),
            frozenset(
                (event.event_id, ref)
                for position, event in events.items()
                for ref in refs_of(event)
                if position <= positions.get(ref, 0)
            ),
        )
