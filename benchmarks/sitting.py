"""One sitting: what is measured together, on the same machine in the same hour, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.noop_job import NoopJob, ProcessCount
from benchmarks.processes import Run
from benchmarks.shapes import Sizes


class Contestant(Protocol):
    """Something to measure."""

    @property
    def name(self) -> str:
        """What its row is called."""
        ...

    def run(self, environment: Mapping[str, str]) -> Run:
        """Runs once, with processes that have these environment variables.

        Raises:
            BrokenRunError: It did not do what it should.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All runs of one contestant.

    Attributes:
        name: What its row is called.
        runs: The runs that were timed.
        processes: How many job processes a run started.
    """

    name: str
    runs: tuple[Run, ...]
    processes: int

    @property
    def seconds(self) -> float:
        """The least wall time: what the rest of the machine added to the others is not ours."""
        return min(run.seconds for run in self.runs)

    @property
    def median_seconds(self) -> float:
        """The median wall time."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that any of them held."""
        return max(run.peak_memory_bytes for run in self.runs)

    @property
    def events(self) -> int:
        """How many events the last one left."""
        return self.runs[-1].events


@dataclass(frozen=True, kw_only=True, slots=True)
class Sitting:
    """What all scenarios share.

    Attributes:
        folder: Where each scenario makes a folder of its own.
        job: The job that does nothing.
        environment: The environment variables of all that is run.
        tools: The path of each other tool, by name.
        sizes: How large the graphs are.
        repeats: How often each graph is built and planned.
        at_once: How many job processes run at once.
        tell: Told what comes next.
    """

    folder: Path
    job: NoopJob
    environment: Mapping[str, str]
    tools: Mapping[str, str]
    sizes: Sizes
    repeats: int
    at_once: int
    tell: Callable[[str], None]

    def measure(self, title: str, contestants: Sequence[Contestant], *, turns_per_repeat: int = 1) -> list[Measured]:
        """Measures contestants in turns, so that a slow minute of the machine meets all, and returns a result for each.

        The first turn is not timed: it fills caches, and counts processes.

        Args:
            title: What is measured.
            contestants: Who, in this order in each turn.
            turns_per_repeat: How many turns stand for one repeat: more than one for what is over in no time.

        Raises:
            BrokenRunError: One did not do what it should.
        """
        self.tell(f"{title}: counting processes")
        count = ProcessCount(self.folder)
        processes = []
        for contestant in contestants:
            contestant.run(count.environment(self.environment))
            processes.append(count.take())
        turns: list[list[Run]] = []
        for turn in range(self.repeats * turns_per_repeat):
            self.tell(f"{title}: turn {turn + 1} of {self.repeats * turns_per_repeat}")
            turns.append([contestant.run(self.environment) for contestant in contestants])
        return [
            Measured(name=contestant.name, runs=runs, processes=started)
            for contestant, runs, started in zip(contestants, zip(*turns, strict=True), processes, strict=True)
        ]
