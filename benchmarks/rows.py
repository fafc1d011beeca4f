"""Rows: the results of a session, independent of how they are measured and shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The measurements of one contestant. Fields that do not apply are None.

    Attributes:
        scenario: The scenario.
        size: The size of the scenario.
        name: The name of the contestant.
        tasks: The number of tasks, or of partitions if no task is run; 0 for a start-up.
        processes: The number of job processes, which count themselves in a run that is not timed.
        seconds: The minimum wall time of a run.
        median_seconds: The median wall time.
        p99_seconds: The 99th percentile, if very many times were measured.
        cpu_seconds: The minimum processor time of the process and of its children, if other tools are compared.
        raw_ratio: The minimum wall time divided by that of the raw limit.
        databuild_ratio: The minimum wall time divided by that of a build of the same graph by DataBuild.
        added_ms: Milliseconds per task beyond the raw limit and start-up; beyond start-up if no job is run.
        events_per_second: The number of events divided by the minimum wall time.
        peak_memory_bytes: The peak memory of the process, without its children.
    """

    scenario: str
    size: int
    name: str
    tasks: int
    processes: int
    seconds: float
    median_seconds: float
    p99_seconds: float | None = None
    cpu_seconds: float | None = None
    raw_ratio: float | None = None
    databuild_ratio: float | None = None
    added_ms: float | None = None
    events_per_second: float | None = None
    peak_memory_bytes: int | None = None


class Rows:
    """Rows by scenario, size and name, which together are unique."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(row.scenario, row.size, row.name): row for row in rows}

    def find(self, scenario: str, size: int, name: str) -> Row | None:
        """Returns a row; None if it was not measured."""
        return self._rows.get((scenario, size, name))
