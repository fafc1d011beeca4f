"""Planning of graphs that would take too long to execute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.databuild_runs import Graph, Plan
from benchmarks.other_tools import NINJA, NINJA_PLAN, NinjaPlan
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Layers, Shape, Wide

SCENARIO: Final = "planning"
LAYERS: Final = "planning of layers"


def plan(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Plans graphs in turns, so that other load on the machine affects all of them, and yields their rows."""
    sizes = session.sizes
    contestants: list[tuple[Shape, Contestant]] = []
    for width in sizes.planned:
        wide = Wide(width=width)
        folder = session.folder / f"{SCENARIO}-{width}"
        if width < sizes.planned[-1]:
            contestants.append((wide, Plan(Graph(folder / "configured", wide, session.job))))
        contestants.append((wide, Plan(Graph(folder / "declared", wide, session.job, declared=True))))
    # Layers, because ninja takes quadratic time for a wide graph: each task searches all inputs of the sink.
    layers = Layers(height=sizes.planned_layers[0], width=sizes.planned_layers[1])
    folder = session.folder / f"{SCENARIO}-layers"
    contestants.append((layers, Plan(Graph(folder / "configured", layers, session.job))))
    contestants.append((layers, Plan(Graph(folder / "declared", layers, session.job, declared=True))))
    if NINJA in session.tools:
        contestants.append((layers, NinjaPlan(session.tools[NINJA], folder / NINJA, layers, session.job)))
    measurements = session.measure(SCENARIO, [contestant for _, contestant in contestants])
    for (shape, _), measurement in zip(contestants, measurements, strict=True):
        start = start_up[NINJA if measurement.name == NINJA_PLAN else measurement.name].seconds
        yield Row(
            scenario=LAYERS if shape is layers else SCENARIO,
            size=shape.size,
            name=measurement.name,
            tasks=shape.tasks,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            added_ms=(measurement.seconds - start) / shape.tasks * 1e3,
            peak_memory_bytes=measurement.peak_memory_bytes,
        )
