"""Graphs that are executed: by the raw limit, by other tools and by DataBuild, which also repeats and plans them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.databuild_runs import BUILD, BUILD_AGAIN, PLAN, STATUS, Build, Graph, Plan, Status
from benchmarks.other_tools import TOOLS, ToolBuild
from benchmarks.raw_limit import RAW_LIMIT, RawLimit
from benchmarks.rows import Row
from benchmarks.shapes import Shape
from benchmarks.sitting import Contestant, Measured, Sitting

_RUNS_NO_JOB: Final = frozenset({BUILD_AGAIN, PLAN, STATUS})
# What to subtract, where it is not called the same.
_START_UP_OF: Final = {BUILD: BUILD_AGAIN}


def execute(sitting: Sitting, start_up: Mapping[str, Measured], shapes: Sequence[Shape]) -> Iterator[Row]:
    """Executes graphs in turns and yields the rows of each.

    Args:
        sitting: Where and how.
        start_up: The start-up of each program.
        shapes: The graphs, of one kind.
    """
    contestants = [_contestants(sitting, shape) for shape in shapes]
    measured = iter(sitting.measure(shapes[0].name, [one for of_shape in contestants for one in of_shape]))
    for shape, of_shape in zip(shapes, contestants, strict=True):
        yield from _rows(shape, [next(measured) for _ in of_shape], start_up)


def _contestants(sitting: Sitting, shape: Shape) -> list[Contestant]:
    """Returns who executes a graph; the raw limit is first."""
    folder = sitting.folder / f"{shape.name}-{shape.size}"
    graph = Graph(folder / "databuild", shape, sitting.job)
    return [
        RawLimit(shape, sitting.job, sitting.at_once),
        *(
            ToolBuild(tool, sitting.tools[tool.name], folder / tool.name, shape, sitting.job, sitting.at_once)
            for tool in TOOLS
            if tool.name in sitting.tools
        ),
        Build(graph, at_once=sitting.at_once),
        Build(graph, at_once=sitting.at_once, again=True),
        Plan(graph),
        Status(graph),
    ]


def _rows(shape: Shape, measured: Sequence[Measured], start_up: Mapping[str, Measured]) -> Iterator[Row]:
    raw = measured[0].seconds
    for of_one in measured:
        name = of_one.name
        runs_jobs = name not in _RUNS_NO_JOB
        begun = start_up[_START_UP_OF.get(name, name)].seconds if name != RAW_LIMIT else 0.0
        beyond = of_one.seconds - begun - (raw if runs_jobs else 0.0)
        yield Row(
            scenario=shape.name,
            size=shape.size,
            what=name,
            tasks=shape.tasks,
            processes=of_one.processes,
            seconds=of_one.seconds,
            median_seconds=of_one.median_seconds,
            raw_ratio=of_one.seconds / raw if runs_jobs else None,
            added_ms=beyond / shape.tasks * 1e3 if name not in {RAW_LIMIT, STATUS} else None,
            events_per_second=of_one.events / of_one.seconds if name == BUILD else None,
            peak_memory_bytes=of_one.peak_memory_bytes or None,
        )
