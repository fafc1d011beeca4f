"""Progress and warnings of one analysis, and the limit on its size.

The limit ends the analysis of a job that always needs one more partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from databuild.errors import TooManyPartitionsError
from databuild.graph.catalog import JobCatalog
from databuild.graph.partition_graph import PartitionGraph
from databuild.graph.ports import PlanningObserver
from databuild.model.pacing import Pace, slices
from databuild.model.planning import PlanningProgress

WARNING_LEVELS: Final = 10_000
"""Number of levels with the same job after which a warning is given."""

_DEEP_LEVELS: Final = 1000
"""Number of levels from which the error of a plan that is too large mentions a possibly endless recursion."""

MAX_WARNINGS: Final = 100


class PlanningMonitor:
    """Counts the partitions and levels of one analysis, and notifies its observer.

    Attributes:
        warnings: The warnings, in order.
    """

    def __init__(
        self,
        catalog: JobCatalog,
        graph: PartitionGraph,
        owners: Mapping[str, str],
        pace: Pace,
        observer: PlanningObserver | None,
    ) -> None:
        self.warnings: dict[str, None] = {}
        self._catalog = catalog
        self._graph = graph
        self._owners = owners
        self._pace = pace
        self._observer = observer
        self._levels = 0
        self._levels_of: Counter[str] = Counter()
        self._calls = 0
        self._running_calls: dict[str, int] = {}
        self._running_jobs: tuple[str, ...] = ()
        self._ranges: set[tuple[str, ...]] = set()

    def check_size(self) -> None:
        """Checks the number of partitions.

        Raises:
            TooManyPartitionsError: There are more than the graph allows.
        """
        refs = self._graph.refs
        if len(refs) > self._catalog.max_partitions:
            limit = self._catalog.max_partitions
            message = (
                f"the plan has more than {limit:,} partitions, which is `max_partitions` of "
                f"{self._catalog.graph_label}; the last one is {refs[-1]!r}"
            )
            if self._levels >= _DEEP_LEVELS:
                message += f", {self._levels:,} levels upstream: a job may need one more partition without end"
            raise TooManyPartitionsError(limit, f"{message}; request fewer partitions, or raise the limit")

    async def enter_level(self, refs: Collection[str]) -> None:
        """Counts one more level of partitions; their jobs must have been found."""
        self._levels += 1
        labels: set[str] = set()
        for refs_slice in slices(refs):
            await self._pace.rest()
            labels.update(map(self._owners.__getitem__, refs_slice))
            if ".." in "/".join(refs_slice):
                for ref in refs_slice:
                    if ".." in ref:
                        self._warn_of_range_lookalike(ref)
        for label in labels:
            self._levels_of[label] += 1
            if self._levels_of[label] == WARNING_LEVELS and not self._catalog.is_bounded(label):
                self._warn_of_recursion(label, next(ref for ref in refs if self._owners[ref] == label))
        self._notify()

    def call_started(self, label: str) -> None:
        self._calls += 1
        self._count_running(label, 1)

    def call_ended(self, label: str) -> None:
        self._count_running(label, -1)

    def _count_running(self, label: str, change: int) -> None:
        count = self._running_calls.pop(label, 0) + change
        if count:
            self._running_calls[label] = count
        if count in {0, change}:  # the first of several calls has started, or the last has ended
            self._running_jobs = tuple(sorted(self._running_calls))
        self._notify()

    def _warn_of_range_lookalike(self, ref: str) -> None:
        lookalike = self._catalog.range_lookalike(ref)
        if lookalike is not None and lookalike[0] not in self._ranges:
            self._ranges.add(lookalike[0])
            self._warn(lookalike[1])

    def _warn_of_recursion(self, label: str, ref: str) -> None:
        dependent = self._graph.needed_by(ref)
        while dependent and self._owners[dependent] != label:
            dependent = self._graph.needed_by(dependent)
        if dependent:  # otherwise, it is the recursion of another job
            self._warn(
                f"{label} occurs in {WARNING_LEVELS:,} levels of this plan: {dependent!r} needs {ref!r}, and so on; "
                "if the recursion has no end, stop the build and correct the inputs of the job"
            )

    def _warn(self, warning: str) -> None:
        if len(self.warnings) < MAX_WARNINGS and warning not in self.warnings:
            self.warnings[warning] = None
            if self._observer is not None:
                self._observer.warned(warning)

    def _notify(self) -> None:
        if self._observer is not None:
            refs = len(self._graph.refs)
            self._observer.planning(PlanningProgress(self._levels, refs, self._calls, self._running_jobs))
