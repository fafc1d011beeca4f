"""Planning of graphs that would take too long to execute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.databuild_runs import PLAN, Graph, Plan
from benchmarks.rows import Row
from benchmarks.session import Measurement, Session
from benchmarks.shapes import Wide

SCENARIO: Final = "planning"


def plan(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Plans wide graphs in turns, so that other load on the machine affects all of them, and yields their rows."""
    shapes = [Wide(width=width) for width in session.sizes.planned]
    graphs = [Graph(session.folder / f"{SCENARIO}-{shape.size}", shape, session.job) for shape in shapes]
    measurements = session.measure(SCENARIO, [Plan(graph) for graph in graphs])
    for shape, measurement in zip(shapes, measurements, strict=True):
        yield Row(
            scenario=SCENARIO,
            size=shape.size,
            name=measurement.name,
            tasks=shape.tasks,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            added_ms=(measurement.seconds - start_up[PLAN].seconds) / shape.tasks * 1e3,
            peak_memory_bytes=measurement.peak_memory_bytes,
        )
