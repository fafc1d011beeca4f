"""Execution of graphs by the raw limit, by other tools and by DataBuild, with repeated builds and plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.databuild_runs import BUILD, BUILD_AGAIN, PLAN, PLAN_DECLARED, STATUS, Build, Graph, Plan, Status
from benchmarks.other_tools import TOOLS, ToolBuild
from benchmarks.raw_limit import RAW_LIMIT, RawLimit
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Shape, Wide

HUGE: Final = "huge"

_RUNS_NO_JOB: Final = frozenset({BUILD_AGAIN, PLAN, PLAN_DECLARED, STATUS})
# The start-up to subtract, if it has another name: a build of a fresh partition starts up, and does nothing else.
_START_UP_OF: Final = {BUILD: BUILD_AGAIN}


def execute(session: Session, start_up: Mapping[str, Measurement], shapes: Sequence[Shape]) -> Iterator[Row]:
    """Executes graphs in turns and yields the rows of each.

    Args:
        session: The session.
        start_up: The start-up of each program.
        shapes: The graphs; all have the same shape.
    """
    contestants = [_contestants(session, shape) for shape in shapes]
    all_contestants = [contestant for shape_contestants in contestants for contestant in shape_contestants]
    measurements = iter(session.measure(shapes[0].name, all_contestants))
    for shape, shape_contestants in zip(shapes, contestants, strict=True):
        yield from _rows(shape, [next(measurements) for _ in shape_contestants], start_up)


def execute_huge(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Builds huge wide graphs with DataBuild only, since `ninja` takes quadratic time, and yields their rows."""
    shapes = [Wide(width=width, name=HUGE) for width in session.sizes.huge]
    contestants: list[tuple[Contestant, ...]] = []
    for shape in shapes:
        graph = Graph(session.folder / f"{HUGE}-{shape.size}", shape, session.job)
        contestants.append(
            (
                RawLimit(shape, session.job, session.parallelism),
                Build(graph, parallelism=session.parallelism),
                Build(graph, parallelism=session.parallelism, again=True),
            )
        )
    measurements = iter(session.measure(HUGE, [contestant for some in contestants for contestant in some]))
    for shape, some in zip(shapes, contestants, strict=True):
        yield from _rows(shape, [next(measurements) for _ in some], start_up)


def _contestants(session: Session, shape: Shape) -> list[Contestant]:
    """Returns everything that executes a graph; the raw limit is first."""
    folder = session.folder / f"{shape.name}-{shape.size}"
    graph = Graph(folder / "databuild", shape, session.job)
    declared = Graph(folder / "declared", shape, session.job, declared=True)
    return [
        RawLimit(shape, session.job, session.parallelism),
        *(
            ToolBuild(tool, session.tools[tool.name], folder / tool.name, shape, session.job, session.parallelism)
            for tool in TOOLS
            if tool.name in session.tools
        ),
        Build(graph, parallelism=session.parallelism),
        Build(graph, parallelism=session.parallelism, again=True),
        Plan(graph),
        Plan(declared),
        Status(graph),
    ]


def _rows(shape: Shape, measurements: Sequence[Measurement], start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    raw = measurements[0].seconds
    for measurement in measurements:
        name = measurement.name
        runs_jobs = name not in _RUNS_NO_JOB
        start_up_seconds = start_up[_START_UP_OF.get(name, name)].seconds if name != RAW_LIMIT else 0.0
        added_seconds = measurement.seconds - start_up_seconds - (raw if runs_jobs else 0.0)
        yield Row(
            scenario=shape.name,
            size=shape.size,
            name=name,
            tasks=shape.tasks,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            raw_ratio=measurement.seconds / raw if runs_jobs else None,
            added_ms=added_seconds / shape.tasks * 1e3 if name not in {RAW_LIMIT, STATUS} else None,
            events_per_second=measurement.events / measurement.seconds if name == BUILD else None,
            peak_memory_bytes=measurement.peak_memory_bytes or None,
        )
