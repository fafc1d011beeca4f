"""Session: measurements that are taken together, in turns, on the same machine within the same hour."""

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
    """A program or a command to measure."""

    @property
    def name(self) -> str:
        """The name of its row."""
        ...

    def run(self, environment: Mapping[str, str]) -> Run:
        """Runs once; its processes have these environment variables.

        Raises:
            BrokenRunError: The contestant did not do its work.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """All runs of one contestant.

    Attributes:
        name: The name of its row.
        runs: The timed runs.
        processes: The number of job processes of a run.
    """

    name: str
    runs: tuple[Run, ...]
    processes: int

    @property
    def seconds(self) -> float:
        """The minimum wall time: longer runs include time of other programs on the machine."""
        return min(run.seconds for run in self.runs)

    @property
    def median_seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """The minimum processor time."""
        return min(run.cpu_seconds for run in self.runs)

    @property
    def peak_memory_bytes(self) -> int:
        return max(run.peak_memory_bytes for run in self.runs)

    @property
    def events(self) -> int:
        """The number of events of the last run."""
        return self.runs[-1].events


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Everything that all scenarios share.

    Attributes:
        folder: The folder in which each scenario creates its own.
        job: The no-op job.
        environment: The environment variables of all processes.
        tools: The paths of the other tools, by name.
        peers: The venv with workflow tools; None for none.
        sizes: The sizes of graphs.
        repeats: The number of timed runs of each contestant.
        parallelism: The number of job processes that run at once.
        log: Called with progress messages.
    """

    folder: Path
    job: NoopJob
    environment: Mapping[str, str]
    tools: Mapping[str, str]
    peers: Path | None
    sizes: Sizes
    repeats: int
    parallelism: int
    log: Callable[[str], None]

    def measure(self, title: str, contestants: Sequence[Contestant], *, turns_per_repeat: int = 1) -> list[Measurement]:
        """Measures contestants in turns, so that a slow minute of the machine affects all of them.

        The first turn is not timed: it fills caches, and counts processes.

        Args:
            title: The title of progress messages.
            contestants: The contestants, in their order within each turn.
            turns_per_repeat: The number of turns for each repeat; more than one for very short runs.

        Raises:
            BrokenRunError: A contestant did not do its work.
        """
        self.log(f"{title}: counting processes")
        counter = ProcessCount(self.folder)
        processes = []
        for contestant in contestants:
            contestant.run(counter.environment(self.environment))
            processes.append(counter.take())
        turns: list[list[Run]] = []
        for turn in range(self.repeats * turns_per_repeat):
            self.log(f"{title}: turn {turn + 1} of {self.repeats * turns_per_repeat}")
            turns.append([contestant.run(self.environment) for contestant in contestants])
        return [
            Measurement(name=contestant.name, runs=runs, processes=count)
            for contestant, runs, count in zip(contestants, zip(*turns, strict=True), processes, strict=True)
        ]
