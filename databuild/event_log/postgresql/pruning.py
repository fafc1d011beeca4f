"""Prunes builds in PostgreSQL. Locks are taken in the writers' order: builds by id, partitions by ref."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import psycopg

from databuild.event_log import pruning
from databuild.event_log.postgresql.connection import MAINTENANCE, QUERIES, connect_for_writing, fault
from databuild.event_log.postgresql.read_models import lock_builds
from databuild.event_log.postgresql.statements import as_json
from databuild.model import statuses


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
        return self._rows("prunable_partitions", build_request_id=build_request_id, after=after, limit=limit)

    def needless_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns job runs that nothing comes from, as `Rows` says."""
        return self._rows("needless_runs", build_request_id=build_request_id, after=after, limit=limit)

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns pruned builds that have more than one row."""
        return [build for (build,) in self._rows("unfinished_prunings", after=after, limit=limit)]

    def keep(self, refs: Sequence[str]) -> None:
        """Keeps what is known of partitions now."""
        self._change(("lock_partitions_shared", "keep_partitions"), keys=as_json(refs))

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks builds as pruned."""
        ended = as_json(sorted(statuses.BUILD.ended))
        self._change(("mark_pruned",), build_request_ids, time=time, keys=as_json(build_request_ids), ended=ended)

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of these builds that are marked."""
        return [build for (build,) in self._rows("pruned_builds", keys=as_json(build_request_ids))]

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes events of builds, and returns how many."""
        return self._change(("remove_events",), keys=as_json(build_request_ids), limit=limit)

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds."""
        self._change(("remove_partitions",), keys=as_json(keys))

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        """Removes job runs."""
        self._change(("remove_runs",), keys=as_json(job_run_ids))

    def settle(self, build_request_ids: Sequence[str]) -> None:
        """Takes note of which builds have more than one row left."""
        self._change(("settle_pruned",), build_request_ids, keys=as_json(build_request_ids))

    def _rows(self, query: str, **values: Any) -> list[Any]:
        try:
            return self._connection.execute(QUERIES[query].encode(), values).fetchall()
        except psycopg.Error as error:
            raise fault(error, self._uri) from error

    def _change(self, queries: Sequence[str], builds: Sequence[str] = (), **values: Any) -> int:
        """Runs queries in one transaction, with builds locked, and returns how many rows the last one changed."""
        connection = self._connection
        count = 0
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", MAINTENANCE)
                if builds:
                    lock_builds(connection, builds)
                for query in queries:
                    count = connection.execute(QUERIES[query].encode(), values).rowcount
        except psycopg.Error as error:
            raise fault(error, self._uri) from error
        return count
