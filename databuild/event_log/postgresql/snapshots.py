"""What pruned events added up to, in PostgreSQL: where computing the read models anew starts from.

Each function is called inside a transaction of the writer that holds all other writers off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from databuild.event_log.postgresql.statements import as_json
from databuild.event_log.projection import refs_of
from databuild.v1 import events_pb2 as ev

COLUMNS: Final = (
    "ref, status, build_request_id, time, available, version, job_run_id, metadata, adoption, tainted, taint_reason, "
    "failure_category, failure_message"
)
_PAGE: Final = 10_000
# The builds that stay are those that were pruned: what is left of them is all there is.
_RESTART: Final = (
    "DELETE FROM builds WHERE pruned_time = 0",
    "DELETE FROM build_partitions WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)",
    "DELETE FROM job_runs WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)",
    "DELETE FROM partitions",
    "DELETE FROM partition_counts",
    f"INSERT INTO partitions ({COLUMNS}) SELECT {COLUMNS} FROM partition_snapshots",
    """INSERT INTO partition_counts (shard, status, count) SELECT 0, status, count(*) FROM partitions GROUP BY status
    UNION ALL SELECT 0, 'TAINTED', count(*) FROM partitions WHERE tainted""",
)
# Of a build that is being pruned, some events may be left; they have nothing to add.
_EVENTS: Final = """
SELECT position, payload FROM events AS e WHERE position > %s AND NOT EXISTS (
  SELECT FROM builds b WHERE b.build_request_id = e.build_request_id AND b.pruned_time > 0
) ORDER BY position LIMIT %s
"""
_POSITIONS: Final = """
SELECT ref, position FROM partition_snapshots WHERE ref = ANY (ARRAY(SELECT json_array_elements_text(%s)))
"""


def restart(connection: psycopg.Connection[Any]) -> None:
    """Makes the read models what they are before any event that is left."""
    for statement in _RESTART:
        connection.execute(statement)


def pages(connection: psycopg.Connection[Any]) -> Iterator[tuple[Sequence[ev.BuildEvent], frozenset[tuple[str, str]]]]:
    """Yields the events that are left, in order, with what of them is known already, as `Changes` takes it."""
    after = 0
    while rows := connection.execute(_EVENTS, (after, _PAGE), binary=True).fetchall():
        after = rows[-1][0]
        events = {position: ev.BuildEvent.FromString(payload) for position, payload in rows}
        refs = {ref for event in events.values() for ref in refs_of(event)}
        known = dict(connection.execute(_POSITIONS, (as_json(sorted(refs)),)).fetchall())
        yield (
            tuple(events.values()),
            frozenset(
                (event.event_id, ref)
                for position, event in events.items()
                for ref in refs_of(event)
                if position <= known.get(ref, 0)
            ),
        )
