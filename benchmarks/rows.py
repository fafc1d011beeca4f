"""What a benchmark finds: rows. Neither knows how they are measured, nor how they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One thing that was measured. What does not apply is None.

    Attributes:
        scenario: What it belongs to.
        size: How large that was.
        what: What was run.
        tasks: How many tasks (or partitions, where none is run) it was about; 0 for a start-up.
        processes: How many job processes it started, counted by themselves in a run that was not timed.
        seconds: The least wall time of a run.
        median_seconds: The median wall time.
        p99_seconds: The time that 99 in a hundred did not exceed, where very many were measured.
        raw_ratio: The least wall time over that of the raw limit.
        added_ms: Milliseconds per task beyond the raw limit and start-up; where no job is run, beyond start-up.
        events_per_second: Events over the least wall time.
        peak_memory_bytes: The most memory that the process held, not counting those that it started.
    """

    scenario: str
    size: int
    what: str
    tasks: int
    processes: int
    seconds: float
    median_seconds: float
    p99_seconds: float | None = None
    raw_ratio: float | None = None
    added_ms: float | None = None
    events_per_second: float | None = None
    peak_memory_bytes: int | None = None


class Rows:
    """Rows that can be looked up."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Takes rows; no two are of the same scenario, size and name."""
        self._rows = {(row.scenario, row.size, row.what): row for row in rows}

    def find(self, scenario: str, size: int, what: str) -> Row | None:
        """Returns a row, or None if it was not measured."""
        return self._rows.get((scenario, size, what))
