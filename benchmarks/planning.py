"""Graphs that are planned only, as they would take long to execute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.databuild_runs import PLAN, Graph, Plan
from benchmarks.rows import Row
from benchmarks.shapes import Wide
from benchmarks.sitting import Measured, Sitting

SCENARIO: Final = "planning"


def plan_wide(sitting: Sitting, start_up: Mapping[str, Measured], width: int) -> Iterator[Row]:
    """Plans a wide graph and yields its row.

    Args:
        sitting: Where and how.
        start_up: The start-up of each program.
        width: How wide it is.
    """
    shape = Wide(width=width)
    graph = Graph(sitting.folder / f"{SCENARIO}-{width}", shape, sitting.job)
    of_one = sitting.measure(f"planning {width:,}", [Plan(graph)])[PLAN]
    yield Row(
        scenario=SCENARIO,
        size=width,
        what=PLAN,
        tasks=shape.tasks,
        processes=of_one.processes,
        seconds=of_one.seconds,
        median_seconds=of_one.median_seconds,
        added_ms=(of_one.seconds - start_up[PLAN].seconds) / shape.tasks * 1e3,
        peak_memory_bytes=of_one.peak_memory_bytes,
    )
