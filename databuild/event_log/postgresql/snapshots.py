"""What pruned events added up to, in PostgreSQL: where computing the read models anew starts from.

Each function is called inside a transaction of the writer that holds all other writers off.
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
_RESTART: Final = (
    "clear_builds",
    "clear_build_partitions",
    "clear_job_runs",
    "clear_partitions",
    "clear_counts",
    "restore_partitions",
    "restore_counts",
)


def restart(connection: psycopg.Connection[Any]) -> None:
    """Makes the read models what they are before any event that is left."""
    for query in _RESTART:
        connection.execute(QUERIES[query].encode())


def pages(connection: psycopg.Connection[Any]) -> Iterator[tuple[Sequence[ev.BuildEvent], frozenset[tuple[str, str]]]]:
    """Yields the events that are left, in order, with what of them is known already, as `Changes` takes it."""
    positions = QUERIES["snapshot_positions"].encode()
    query = QUERIES["unpruned_events"].encode()
    rows: Iterator[Sequence[tuple[int, bytes]]] = read_pages(
        lambda after, limit: connection.execute(query, {"after": after, "limit": limit}, binary=True).fetchall(),
        key=lambda row: row[0],
        start=0,
        size=_PAGE,
    )
    for page in rows:
        events = {position: ev.BuildEvent.FromString(payload) for position, payload in page}
        refs = {ref for event in events.values() for ref in refs_of(event)}
        known = dict(connection.execute(positions, {"keys": as_json(sorted(refs))}).fetchall())
        yield (
            tuple(events.values()),
            frozenset(
                (event.event_id, ref)
                for position, event in events.items()
                for ref in refs_of(event)
                if position <= known.get(ref, 0)
            ),
        )
