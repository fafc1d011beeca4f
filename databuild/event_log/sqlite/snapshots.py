"""What pruned events added up to, in SQLite: where computing the read models anew starts from.

Each function is called inside a transaction of the writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from databuild.event_log.projection import refs_of
from databuild.v1 import events_pb2 as ev

COLUMNS = (
    "ref, status, build_request_id, time, available, version, job_run_id, metadata, adoption, tainted, taint_reason, "
    "failure_category, failure_message"
)
_PAGE = 1000
# The builds that stay are those that were pruned: what is left of them is all there is.
_RESTART = (
    "DELETE FROM builds WHERE pruned_time = 0",
    "DELETE FROM build_partitions WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)",
    "DELETE FROM job_runs WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)",
    "DELETE FROM partitions",
    "DELETE FROM partition_counts",
    f"INSERT INTO partitions ({COLUMNS}) SELECT {COLUMNS} FROM partition_snapshots",
)
# Of a build that is being pruned, some events may be left; they have nothing to add.
_EVENTS = """
SELECT position, payload FROM events AS e WHERE position > ? AND NOT EXISTS (
  SELECT 1 FROM builds b WHERE b.build_request_id = e.build_request_id AND b.pruned_time > 0
) ORDER BY position LIMIT ?
"""
_POSITIONS = "SELECT s.ref, s.position FROM json_each(?) j CROSS JOIN partition_snapshots s ON s.ref = j.value"

Settled = frozenset[tuple[str, str]]
"""What is known already, as `Changes` takes it."""

NOTHING_SETTLED: Settled = frozenset()


def restart(connection: sqlite3.Connection) -> None:
    """Makes the read models what they are before any event that is left."""
    for statement in _RESTART:
        connection.execute(statement)


def pages(connection: sqlite3.Connection) -> Iterator[tuple[Sequence[ev.BuildEvent], Settled]]:
    """Yields the events that are left, in order, with what of them is known already."""
    after = 0
    while rows := connection.execute(_EVENTS, (after, _PAGE)).fetchall():
        after = rows[-1][0]
        events = {position: ev.BuildEvent.FromString(payload) for position, payload in rows}
        yield tuple(events.values()), settled(connection, events)


def settled(connection: sqlite3.Connection, events: Mapping[int, ev.BuildEvent]) -> Settled:
    """Returns what of events, given by their positions, is known already."""
    refs = {ref for event in events.values() for ref in refs_of(event)}
    known = dict(connection.execute(_POSITIONS, (json.dumps(sorted(refs)),)))
    return frozenset(
        (event.event_id, ref)
        for position, event in events.items()
        for ref in refs_of(event)
        if position <= known.get(ref, 0)
    )
