"""Positions of events in the log, so that a follower of all builds misses no event.

Transactions take positions when they write and become visible when they commit, possibly in another order: if the
transaction with position 7 commits before that with position 6, a follower that continues after 7 never sees 6.
Therefore, each transaction takes a shared advisory lock before it takes positions. The key of the lock is the newest
position at that time, and the positions of the transaction are greater. A follower reads up to the lowest key that is
held, and no further than the newest position that it saw before it read the locks: a transaction that took its lock
later takes later positions. See docs/adr/0007-followers-read-up-to-the-settled-position.md.

No transaction waits for another here. A lock under which one transaction at a time takes positions and commits would
make all builds wait for each other's disk writes. The horizon of the server, `pg_snapshot_xmin`, does not move while
any database of the server has a long transaction, and transaction ids restart after a dump and restore.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from databuild.event_log.postgresql.connection import QUERIES, SCHEMA

_KEYS: Final = 0x4461 << 48
"""The base of the keys of these locks ("Da"), apart from other advisory locks in the same database."""

_LOG: Final = f"""(CASE current_setting('search_path') WHEN '{SCHEMA}' THEN 0
  ELSE 1 + mod(get_byte(decode(md5(current_setting('search_path')), 'hex'), 0), 255) END)::bigint"""
"""A number of the log in bits 40 to 47 of the keys: 0 for the base, so that followers of one log hardly ever wait for
transactions of the environments beside it."""

LOCK_POSITIONS: Final = (
    f"SELECT pg_advisory_xact_lock_shared({_KEYS} + ({_LOG} << 40) + last_value) FROM events_position_seq"
)
"""The lock that a transaction takes before it takes positions."""

APPEND: Final = f"""
WITH locked AS MATERIALIZED ({LOCK_POSITIONS})
INSERT INTO events (build_request_id, sequence, payload)
SELECT new.* FROM locked, unnest(%b::text[], %b::bigint[], %b::bytea[]) AS new
"""
"""Appends events, given as arrays of builds, sequence numbers and payloads. Rows come out of the join with `locked`, so
that no position is taken before the lock."""

_NEWEST: Final = "SELECT coalesce(max(position), 0) FROM events"
_LOWEST_KEY: Final = f"""
SELECT min((classid::bigint << 32 | objid::bigint) & ((1::bigint << 40) - 1)) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 8 = ({_KEYS >> 40} | {_LOG})
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def settled_events(connection: psycopg.Connection[Any], after_position: int, limit: int) -> list[tuple[int, bytes]]:
    """Returns events after a position, up to the position before which no open transaction can add events."""
    with connection.pipeline():
        newest = connection.execute(_NEWEST)
        lowest_key = connection.execute(_LOWEST_KEY)
        # Must be last and in its own snapshot, so that it sees the events of transactions that have released their
        # locks since.
        events = connection.execute(
            QUERIES["all_events"].encode(), {"after": after_position, "limit": limit}, binary=True
        )
    (settled,), (key,) = newest.fetchone() or (0,), lowest_key.fetchone() or (None,)
    if key is not None:
        settled = min(settled, key)
    return [(position, payload) for position, payload in events if position <= settled]
