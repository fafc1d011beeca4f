"""Prunes builds in PostgreSQL. Locks are taken in the writers' order: builds by id, partitions by ref."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import psycopg

from databuild.event_log import pruning
from databuild.event_log.postgresql.connection import MAINTENANCE, connect_for_writing, fault
from databuild.event_log.postgresql.read_models import lock_builds
from databuild.event_log.postgresql.snapshots import COLUMNS
from databuild.event_log.postgresql.statements import as_json
from databuild.model.lifecycle import BUILD_ENDS, build_status_name

_AMONG: Final = "= ANY (ARRAY(SELECT json_array_elements_text(%s)))"
_PARTITIONS: Final = """
SELECT b.ref, b.job_run_id <> '' AND p.job_run_id IS NOT DISTINCT FROM b.job_run_id
FROM build_partitions b LEFT JOIN partitions p ON p.ref = b.ref
WHERE b.build_request_id = %s AND b.ref > %s ORDER BY b.ref LIMIT %s
"""
_NEEDLESS_RUNS: Final = """
SELECT number, job_run_id FROM job_runs WHERE build_request_id = %(build)s AND number > %(after)s
AND job_run_id NOT IN (SELECT job_run_id FROM build_partitions WHERE build_request_id = %(build)s)
ORDER BY number LIMIT %(limit)s
"""
_UNFINISHED: Final = """
SELECT build_request_id FROM builds WHERE pruned_time > 0 AND rows_left AND build_request_id > %s
ORDER BY build_request_id LIMIT %s
"""
# Whoever changes these partitions has committed, with all positions that are taken until now, or waits.
_LOCK: Final = f"SELECT ref FROM partitions WHERE ref {_AMONG} ORDER BY ref FOR SHARE"
_KEEP: Final = f"""
INSERT INTO partition_snapshots ({COLUMNS}, position)
SELECT {COLUMNS}, (SELECT last_value FROM events_position_seq) FROM partitions
WHERE ref {_AMONG} AND status <> '' ORDER BY ref
ON CONFLICT (ref) DO UPDATE SET ({COLUMNS}, position) = ROW (excluded.*)
"""
_ENDED: Final = ", ".join(f"'{build_status_name(status)}'" for status in sorted(BUILD_ENDS))
_MARK: Final = f"""
UPDATE builds SET pruned_time = %s WHERE build_request_id {_AMONG} AND pruned_time = 0 AND status IN ({_ENDED})
"""
_MARKED: Final = f"SELECT build_request_id FROM builds WHERE build_request_id {_AMONG} AND pruned_time > 0"
_REMOVE_EVENTS: Final = f"""
DELETE FROM events WHERE position = ANY (ARRAY(SELECT position FROM events WHERE build_request_id {_AMONG} LIMIT %s))
"""
_REMOVE_PARTITIONS: Final = """
DELETE FROM build_partitions AS b USING json_array_elements(%s) AS gone
WHERE b.build_request_id = gone ->> 0 AND b.ref = gone ->> 1
"""
_REMOVE_RUNS: Final = f"DELETE FROM job_runs WHERE job_run_id {_AMONG}"
_SETTLE: Final = f"""
UPDATE builds SET rows_left = EXISTS (SELECT FROM build_partitions b WHERE b.build_request_id = builds.build_request_id)
WHERE build_request_id {_AMONG}
"""


class PostgresqlPruner:
    """Fits `Pruner` and, with one connection, `Rows`."""

    def __init__(self, uri: str) -> None:
        """Connects, as `connect_for_writing` says."""
        self._uri = uri
        self._connection = connect_for_writing(uri)

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        """Prunes builds, as `Pruner.prune` says."""
        pruning.prune(self, build_request_ids, time)

    def go_on(self) -> None:
        """Removes what is needed no more, as `Pruner.go_on` says."""
        pruning.go_on(self)

    def give_back(self) -> int:
        """Returns 0: the server's autovacuum makes the room free for what comes next."""
        return 0

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def partitions(self, build_request_id: str, after: str, limit: int) -> Sequence[tuple[str, bool]]:
        """Returns partitions of a build, as `Rows` says."""
        return self._rows(_PARTITIONS, (build_request_id, after, limit))

    def needless_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns job runs that nothing comes from, as `Rows` says."""
        return self._rows(_NEEDLESS_RUNS, {"build": build_request_id, "after": after, "limit": limit})

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns pruned builds that have more than one row."""
        return [build for (build,) in self._rows(_UNFINISHED, (after, limit))]

    def keep(self, refs: Sequence[str]) -> None:
        """Keeps what is known of partitions now."""
        self._change((), (_LOCK, (as_json(refs),)), (_KEEP, (as_json(refs),)))

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks builds as pruned."""
        self._change(build_request_ids, (_MARK, (time, as_json(build_request_ids))))

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of these builds that are marked."""
        return [build for (build,) in self._rows(_MARKED, (as_json(build_request_ids),))]

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes events of builds, and returns how many."""
        return self._change((), (_REMOVE_EVENTS, (as_json(build_request_ids), limit)))

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds."""
        self._change((), (_REMOVE_PARTITIONS, (as_json(keys),)))

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        """Removes job runs."""
        self._change((), (_REMOVE_RUNS, (as_json(job_run_ids),)))

    def settle(self, build_request_ids: Sequence[str]) -> None:
        """Takes note of which builds have more than one row left."""
        self._change(build_request_ids, (_SETTLE, (as_json(build_request_ids),)))

    def _rows(self, statement: str, values: Any) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except psycopg.Error as error:
            raise fault(error, self._uri) from error

    def _change(self, builds: Sequence[str], *statements: tuple[str, Any]) -> int:
        """Runs statements in one transaction, with builds locked, and returns how many rows the last one changed."""
        connection = self._connection
        count = 0
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", MAINTENANCE)
                if builds:
                    lock_builds(connection, builds)
                for statement, values in statements:
                    count = connection.execute(statement, values).rowcount
        except psycopg.Error as error:
            raise fault(error, self._uri) from error
        return count
