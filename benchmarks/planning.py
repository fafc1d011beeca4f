"""Graphs that are planned only, as they would take long to execute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.databuild_runs import PLAN, Graph, Plan
from benchmarks.rows import Row
from benchmarks.shapes import Wide
from benchmarks.sitting import Measured, Sitting

SCENARIO: Final = "planning"


def plan(sitting: Sitting, start_up: Mapping[str, Measured]) -> Iterator[Row]:
    """Plans wide graphs in turns, so that growth is not that of the machine's other work, and yields a row for each."""
    shapes = [Wide(width=width) for width in sitting.sizes.planned]
    graphs = [Graph(sitting.folder / f"{SCENARIO}-{shape.size}", shape, sitting.job) for shape in shapes]
    measured = sitting.measure(SCENARIO, [Plan(graph) for graph in graphs])
    for shape, of_one in zip(shapes, measured, strict=True):
        yield Row(
            scenario=SCENARIO,
            size=shape.size,
            what=of_one.name,
            tasks=shape.tasks,
            processes=of_one.processes,
            seconds=of_one.seconds,
            median_seconds=of_one.median_seconds,
            added_ms=(of_one.seconds - start_up[PLAN].seconds) / shape.tasks * 1e3,
            peak_memory_bytes=of_one.peak_memory_bytes,
        )
