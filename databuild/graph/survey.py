"""What planning has found so far, as it is told to people: how far it is, and what may not be meant as it is.

It also bounds a plan, since a job that always needs one more partition has no end of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from databuild.errors import TooManyPartitionsError
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import PlanningObserver
from databuild.model.pacing import Pace, slices
from databuild.model.planning import PlanningProgress

MANY_LEVELS: Final = 10_000
"""In how many levels a job may occur before a warning says so."""

_DEEP: Final = 1000
MAX_WARNINGS: Final = 100


class Survey:
    """Counts what one analysis considers, and tells its observer.

    Attributes:
        needed_by: Every partition that was considered, with the one whose job asked for it; empty for the requested.
            Whoever considers one writes it here.
        warnings: What was warned of.
    """

    def __init__(
        self, catalog: JobCatalog, owners: Mapping[str, str], pace: Pace, observer: PlanningObserver | None
    ) -> None:
        """Takes the jobs, which job produces each ref, when to rest, and who is told."""
        self.needed_by: dict[str, str] = {}
        self.warnings: dict[str, None] = {}
        self._catalog = catalog
        self._owners = owners
        self._pace = pace
        self._observer = observer
        self._levels = 0
        self._levels_of: Counter[str] = Counter()
        self._calls = 0
        self._asking: Counter[str] = Counter()
        self._ranges: set[tuple[str, ...]] = set()

    def check_size(self) -> None:
        """Checks that not too many partitions were considered.

        Raises:
            TooManyPartitionsError: There are more than the graph allows.
        """
        needed_by = self.needed_by
        if len(needed_by) > self._catalog.max_partitions:
            limit = self._catalog.max_partitions
            message = (
                f"the plan considers more than {limit:,} partitions, which is `max_partitions` of "
                f"{self._catalog.graph_label}; the last one is {next(reversed(needed_by))!r}"
            )
            if self._levels >= _DEEP:
                message += f", {self._levels:,} levels up: a job may need one more partition without end"
            raise TooManyPartitionsError(limit, f"{message}; ask for less, or raise it")

    async def level(self, refs: Collection[str]) -> None:
        """Takes note of one more level, whose jobs are known."""
        self._levels += 1
        labels: set[str] = set()
        for some in slices(refs):
            await self._pace.rest()
            for ref in some:
                labels.add(self._owners[ref])
                if ".." in ref:
                    self._look_for_range(ref)
        for label in labels:
            self._levels_of[label] += 1
            if self._levels_of[label] == MANY_LEVELS:
                self._warn(self._endless(label, next(ref for ref in refs if self._owners[ref] == label)))
        self._tell()

    def asking(self, label: str) -> None:
        """Takes note that a job is being asked."""
        self._calls += 1
        self._asking[label] += 1
        self._tell()

    def answered(self, label: str) -> None:
        """Takes note that a job is no longer being asked."""
        self._asking[label] -= 1
        self._tell()

    def _look_for_range(self, ref: str) -> None:
        found = self._catalog.written_range(ref)
        if found is not None and found[0] not in self._ranges:
            self._ranges.add(found[0])
            self._warn(found[1])

    def _endless(self, label: str, ref: str) -> str:
        needing = self.needed_by[ref]
        while needing and self._owners[needing] != label:
            needing = self.needed_by[needing]
        return (
            f"{label} occurs in {MANY_LEVELS:,} levels of this plan: {needing!r} needs {ref!r}, and so on; "
            "if that has no end, stop the build and give the job's inputs one"
        )

    def _warn(self, warning: str) -> None:
        if len(self.warnings) < MAX_WARNINGS and warning not in self.warnings:
            self.warnings[warning] = None
            if self._observer is not None:
                self._observer.warned(warning)

    def _tell(self) -> None:
        if self._observer is not None:
            asking = tuple(sorted(+self._asking))
            self._observer.planning(PlanningProgress(self._levels, len(self.needed_by), self._calls, asking))
