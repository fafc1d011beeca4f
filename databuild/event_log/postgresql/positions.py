"""Positions of events, which a follower of all builds may rely on: what it has passed, nothing is added before.

Transactions take positions when they write and become visible when they commit, in another order: one that took
position 7 may commit before one that took 6, and a follower that went on from 7 would never see 6. So each transaction
that is about to take positions says so first, by an advisory lock whose key is the newest position until then: whatever
it takes is greater. A follower reads up to the least of those keys, and no further than the newest position it saw
before it looked for them: a transaction whose lock came later takes later positions than that.

Nobody waits for anybody here. A lock that let one transaction at a time take positions and commit would make all builds
wait for each other's disk writes. The server's own horizon, `pg_snapshot_xmin`, stands still while anything in any
database of the server has a long transaction, and transaction ids start again after a dump and restore.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from databuild.event_log.postgresql.connection import QUERIES

_KEYS: Final = 0x4461 << 48
"""Where the keys of these locks begin ("Da"), out of the way of others in the same database."""

LOCK_POSITIONS: Final = f"SELECT pg_advisory_xact_lock_shared({_KEYS} + last_value) FROM events_position_seq"
"""What a writer does before it takes positions, in the same transaction."""

APPEND: Final = f"""
WITH locked AS MATERIALIZED ({LOCK_POSITIONS})
INSERT INTO events (build_request_id, sequence, payload)
SELECT new.* FROM locked, unnest(%b::text[], %b::bigint[], %b::bytea[]) AS new
"""
"""Appends events: builds, sequence numbers and payloads. There is no row to number before there is the lock."""

_NEWEST: Final = "SELECT coalesce(max(position), 0) FROM events"
_LOWEST_KEY: Final = f"""
SELECT min((classid::bigint << 32 | objid::bigint) - {_KEYS}) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = {_KEYS >> 48}
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def settled_events(connection: psycopg.Connection[Any], after_position: int, limit: int) -> list[tuple[int, bytes]]:
    """Returns events after a position, as far as no transaction under way can still write before them."""
    with connection.pipeline():
        newest = connection.execute(_NEWEST)
        least = connection.execute(_LOWEST_KEY)
        # Last, in a snapshot of its own: who had its lock then and has none now has committed what this sees.
        events = connection.execute(
            QUERIES["all_events"].encode(), {"after": after_position, "limit": limit}, binary=True
        )
    (settled,), (key,) = newest.fetchone() or (0,), least.fetchone() or (None,)
    if key is not None:
        settled = min(settled, key)
    return [(position, payload) for position, payload in events if position <= settled]
