"""Start-up times of the programs, without any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from benchmarks.databuild_runs import Build, Graph, Plan, Status, bare_python_argv, python_environment
from benchmarks.processes import Run, run_process
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Chain

SCENARIO: Final = "start-up"
BARE_PYTHON: Final = "bare Python"

_TURNS_PER_REPEAT = 5


class _Program:
    """A program that exits immediately."""

    def __init__(self, name: str, session: Session, argv: Sequence[str]) -> None:
        self.name = name
        self._folder = session.folder
        self._argv = argv

    def run(self, environment: Mapping[str, str]) -> Run:
        return run_process(self._argv, python_environment(environment, self._folder), self._folder / "output")


def measure_start_up(session: Session) -> dict[str, Measurement]:
    """Measures the start-up of each program, by the name of the contestant.

    A start-up of DataBuild is a command on one partition. The partition of a build is fresh, so that no job runs.
    """
    graph = Graph(session.folder / SCENARIO, Chain(length=1), session.job)
    declared = Graph(session.folder / f"{SCENARIO}-declared", Chain(length=1), session.job, declared=True)
    Build(graph, parallelism=session.parallelism).run(session.environment)
    contestants: list[Contestant] = [
        _Program(BARE_PYTHON, session, bare_python_argv()),
        *(_Program(name, session, (path, "--version")) for name, path in session.tools.items()),
        Status(graph),
        Plan(graph),
        Plan(declared),
        Build(graph, parallelism=session.parallelism, again=True),
    ]
    measurements = session.measure(SCENARIO, contestants, turns_per_repeat=_TURNS_PER_REPEAT)
    return {measurement.name: measurement for measurement in measurements}


def start_up_rows(measurements: Iterable[Measurement]) -> Iterator[Row]:
    for measurement in measurements:
        yield Row(
            scenario=SCENARIO,
            size=1,
            name=measurement.name,
            tasks=0,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            peak_memory_bytes=measurement.peak_memory_bytes,
        )
