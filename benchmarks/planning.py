"""Planning of graphs that would take too long to execute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.databuild_runs import PLAN, Graph, Plan
from benchmarks.other_tools import NINJA, NINJA_PLAN, NinjaPlan
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Shape, Wide

SCENARIO: Final = "planning"


def plan(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Plans wide graphs in turns, so that other load on the machine affects all of them, and yields their rows."""
    contestants: list[tuple[Shape, Contestant]] = []
    shapes: list[Shape] = [Wide(width=width) for width in session.sizes.planned]
    for shape in shapes:
        folder = session.folder / f"{SCENARIO}-{shape.size}"
        if shape.size < session.sizes.planned[-1]:
            contestants.append((shape, Plan(Graph(folder / "configured", shape, session.job))))
        contestants.append((shape, Plan(Graph(folder / "declared", shape, session.job, declared=True))))
        if NINJA in session.tools:
            contestants.append((shape, NinjaPlan(session.tools[NINJA], folder / NINJA, shape, session.job)))
    measurements = session.measure(SCENARIO, [contestant for _, contestant in contestants])
    for (shape, _), measurement in zip(contestants, measurements, strict=True):
        start = start_up[NINJA if measurement.name == NINJA_PLAN else PLAN].seconds
        yield Row(
            scenario=SCENARIO,
            size=shape.size,
            name=measurement.name,
            tasks=shape.tasks,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            added_ms=(measurement.seconds - start) / shape.tasks * 1e3,
            peak_memory_bytes=measurement.peak_memory_bytes,
        )
