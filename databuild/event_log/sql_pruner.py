"""Prunes builds in any SQL database through the statements of `queries.sql`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from databuild.event_log import pruning
from databuild.model import statuses


class Change(Protocol):
    """Runs queries, given by name, in one transaction."""

    def __call__(self, *queries: str, builds: Sequence[str] = (), **values: Any) -> int:
        """Locks builds, runs the queries with the same parameters, and returns the rows that the last one changed."""
        ...


class SqlPruner:
    """The part of `Pruner` and `PrunableTables` that is the same for all SQL databases."""

    def __init__(
        self,
        fetch: Callable[..., list[Any]],
        change: Change,
        *,
        snapshot_queries: Sequence[str] = ("snapshot_partitions",),
        as_json: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Prunes nothing yet.

        Args:
            fetch: Runs a query, given by name, with keyword parameters, and returns its rows.
            change: Runs queries in a transaction.
            snapshot_queries: The queries that save snapshots of partitions, run in one transaction.
            as_json: Encodes lists of keys.
        """
        self._fetch = fetch
        self._change = change
        self._snapshot_queries = snapshot_queries
        self._as_json = as_json

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        pruning.prune(self, build_request_ids, time)

    def resume(self) -> None:
        pruning.resume(self)

    def partitions(self, build_request_id: str, after: str, limit: int) -> Sequence[tuple[str, bool]]:
        return self._fetch("prunable_partitions", build_request_id=build_request_id, after=after, limit=limit)

    def unreferenced_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        return self._fetch("unreferenced_runs", build_request_id=build_request_id, after=after, limit=limit)

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        return [build for (build,) in self._fetch("unfinished_prunings", after=after, limit=limit)]

    def save_snapshots(self, refs: Sequence[str]) -> None:
        self._change(*self._snapshot_queries, keys=self._as_json(refs))

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        ended = self._as_json(sorted(statuses.BUILD.ended))
        keys = self._as_json(build_request_ids)
        self._change("mark_pruned", builds=build_request_ids, keys=keys, time=time, ended=ended)

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        return [build for (build,) in self._fetch("pruned_builds", keys=self._as_json(build_request_ids))]

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        return self._change("remove_events", keys=self._as_json(build_request_ids), limit=limit)

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        self._change("remove_partitions", keys=self._as_json(keys))

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        keys = self._as_json(job_run_ids)
        for query in ("remove_runs", "remove_placements", "remove_metrics", "remove_checks", "remove_schemas"):
            self._change(query, keys=keys)

    def update_rows_left(self, build_request_ids: Sequence[str]) -> None:
        self._change("update_rows_left", builds=build_request_ids, keys=self._as_json(build_request_ids))
