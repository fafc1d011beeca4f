"""What the programs take before there is anything to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from benchmarks.databuild_runs import Build, Graph, Plan, Status, bare_python_argv, python_environment
from benchmarks.processes import Run, run_process
from benchmarks.rows import Row
from benchmarks.shapes import Chain
from benchmarks.sitting import Contestant, Measured, Sitting

SCENARIO: Final = "start-up"
BARE_PYTHON: Final = "bare Python"

_TURNS_PER_REPEAT = 5


class _Program:
    """A program that ends at once."""

    def __init__(self, name: str, sitting: Sitting, argv: Sequence[str]) -> None:
        self.name = name
        self._folder = sitting.folder
        self._argv = argv

    def run(self, environment: Mapping[str, str]) -> Run:
        """Runs it."""
        return run_process(self._argv, python_environment(environment, self._folder), self._folder / "output")


def measure_start_up(sitting: Sitting) -> dict[str, Measured]:
    """Measures the start-up of each program, by the name of what is started.

    DataBuild's is that of a command on one partition: an available one, where it builds.
    """
    graph = Graph(sitting.folder / SCENARIO, Chain(length=1), sitting.job)
    Build(graph, at_once=sitting.at_once).run(sitting.environment)
    contestants: list[Contestant] = [
        _Program(BARE_PYTHON, sitting, bare_python_argv()),
        *(_Program(name, sitting, (path, "--version")) for name, path in sitting.tools.items()),
        Status(graph),
        Plan(graph),
        Build(graph, at_once=sitting.at_once, again=True),
    ]
    measured = sitting.measure(SCENARIO, contestants, turns_per_repeat=_TURNS_PER_REPEAT)
    return {of_one.name: of_one for of_one in measured}


def start_up_rows(measured: Iterable[Measured]) -> Iterator[Row]:
    """Yields a row for each program."""
    for of_one in measured:
        yield Row(
            scenario=SCENARIO,
            size=1,
            what=of_one.name,
            tasks=0,
            processes=of_one.processes,
            seconds=of_one.seconds,
            median_seconds=of_one.median_seconds,
            peak_memory_bytes=of_one.peak_memory_bytes,
        )
