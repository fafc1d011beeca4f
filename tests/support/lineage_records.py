"""Made-up lineage, as an event log would record it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar

from databuild.model.records import PartitionState, PartitionUse

_Row = TypeVar("_Row")

Runs = Mapping[str, tuple[Collection[str], Collection[str]]]
"""The inputs and outputs of job runs."""

Adopted = Mapping[str, Collection[str]]
"""The inputs of adopted partitions."""

NONE: Mapping[str, Any] = MappingProxyType({})


class LineageRecords:
    """Job runs with their inputs and outputs, and adopted partitions with their inputs; counts the rows it returns."""

    def __init__(
        self,
        runs: Runs = NONE,
        adopted: Adopted = NONE,
        states: Iterable[PartitionState] = (),
        unrecorded: Collection[str] = (),
    ) -> None:
        self.outputs = {run: sorted(outputs) for run, (_, outputs) in runs.items()}
        self.all_uses = sorted(
            [PartitionUse(ref, run, "", "1", False) for run, (inputs, _) in runs.items() for ref in set(inputs)]
            + [PartitionUse(ref, "", output, "1", False) for output, inputs in adopted.items() for ref in inputs]
        )
        self.states = {state.ref: state for state in states}
        self.unrecorded = unrecorded
        self.rows = 0

    def uses(
        self, refs: Collection[str], *, after: tuple[str, str, str] | None = None, limit: int = 1000
    ) -> Sequence[PartitionUse]:
        found = (use for use in self.all_uses if use.input in refs and (after is None or use.key > after))
        return self._page(found, limit)

    def outputs_of_runs(
        self, job_run_ids: Collection[str], *, after: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> Sequence[tuple[str, str]]:
        rows = ((run, ref) for run in sorted(job_run_ids) for ref in self.outputs[run])
        return self._page((row for row in rows if row > after), limit)

    def partition_states(self, refs: Collection[str]) -> Mapping[str, PartitionState]:
        return {
            ref: self.states.get(ref, PartitionState(ref, "AVAILABLE", True, "1"))
            for ref in refs
            if ref not in self.unrecorded
        }

    def _page(self, rows: Iterable[_Row], limit: int) -> list[_Row]:
        page = list(islice(rows, limit))
        self.rows += len(page)
        return page
