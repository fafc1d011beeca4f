"""Prunes builds in any SQL database through the statements of `queries.sql`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from databuild.event_log import pruning
from databuild.model import statuses


class Change(Protocol):
    """Runs the queries of one transaction, with builds locked, and returns how many rows the last one changed."""

    def __call__(self, *queries: str, builds: Sequence[str] = (), **values: Any) -> int:
        """Runs queries with the same parameters; `builds` are locked before."""
        ...


class SqlPruner:
    """The part of `Pruner` and of `Rows` that is the same for all SQL databases."""

    def __init__(
        self,
        fetch: Callable[..., list[Any]],
        change: Change,
        *,
        keep: Sequence[str] = ("keep_partitions",),
        as_json: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Prunes nothing yet.

        Args:
            fetch: Runs a query, which is given by its name, with keyword parameters.
            change: Runs queries in a transaction.
            keep: The queries that keep partitions, in one transaction.
            as_json: Writes lists of keys.
        """
        self._fetch = fetch
        self._change = change
        self._keep = keep
        self._as_json = as_json

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        """Prunes builds, as `Pruner.prune` says."""
        pruning.prune(self, build_request_ids, time)

    def go_on(self) -> None:
        """Finishes earlier prunings, as `Pruner.go_on` says."""
        pruning.go_on(self)

    def partitions(self, build_request_id: str, after: str, limit: int) -> Sequence[tuple[str, bool]]:
        """Returns partitions of a build, as `Rows` says."""
        return self._fetch("prunable_partitions", build_request_id=build_request_id, after=after, limit=limit)

    def needless_runs(self, build_request_id: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Returns job runs that no data comes from, as `Rows` says."""
        return self._fetch("needless_runs", build_request_id=build_request_id, after=after, limit=limit)

    def unfinished(self, after: str, limit: int) -> Sequence[str]:
        """Returns pruned builds that have more than one row."""
        return [build for (build,) in self._fetch("unfinished_prunings", after=after, limit=limit)]

    def keep(self, refs: Sequence[str]) -> None:
        """Keeps the records of partitions."""
        self._change(*self._keep, keys=self._as_json(refs))

    def mark(self, build_request_ids: Sequence[str], time: float) -> None:
        """Marks builds as pruned."""
        ended = self._as_json(sorted(statuses.BUILD.ended))
        keys = self._as_json(build_request_ids)
        self._change("mark_pruned", builds=build_request_ids, keys=keys, time=time, ended=ended)

    def marked(self, build_request_ids: Sequence[str]) -> Sequence[str]:
        """Returns those of these builds that are marked."""
        return [build for (build,) in self._fetch("pruned_builds", keys=self._as_json(build_request_ids))]

    def remove_events(self, build_request_ids: Sequence[str], limit: int) -> int:
        """Removes events of builds, and returns how many."""
        return self._change("remove_events", keys=self._as_json(build_request_ids), limit=limit)

    def remove_partitions(self, keys: Sequence[tuple[str, str]]) -> None:
        """Removes rows of partitions within builds."""
        self._change("remove_partitions", keys=self._as_json(keys))

    def remove_runs(self, job_run_ids: Sequence[str]) -> None:
        """Removes job runs."""
        self._change("remove_runs", keys=self._as_json(job_run_ids))

    def settle(self, build_request_ids: Sequence[str]) -> None:
        """Records which builds have more than one row left."""
        self._change("settle_pruned", builds=build_request_ids, keys=self._as_json(build_request_ids))
