"""Graphs that are executed: by the raw limit, by other tools and by DataBuild, which also repeats and plans them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.databuild_runs import BUILD, BUILD_AGAIN, PLAN, STATUS, Build, Graph, Plan, Status
from benchmarks.other_tools import TOOLS, ToolBuild
from benchmarks.raw_limit import RAW_LIMIT, RawLimit
from benchmarks.rows import Row
from benchmarks.shapes import Shape
from benchmarks.sitting import Contestant, Measured, Sitting

# What to subtract, where it is not called the same.
_START_UP_OF: Final = {BUILD: BUILD_AGAIN}


def execute(sitting: Sitting, start_up: Mapping[str, Measured], shape: Shape) -> Iterator[Row]:
    """Executes a graph and yields its rows.

    Args:
        sitting: Where and how.
        start_up: The start-up of each program.
        shape: The graph.
    """
    folder = sitting.folder / f"{shape.name}-{shape.size}"
    graph = Graph(folder / "databuild", shape, sitting.job)
    contestants: list[Contestant] = [
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
    measured = sitting.measure(f"{shape.name} of {shape.size:,}", contestants)
    raw = measured[RAW_LIMIT].seconds
    for name, of_one in measured.items():
        runs_jobs = name not in {BUILD_AGAIN, PLAN, STATUS}
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
