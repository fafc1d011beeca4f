"""How many events per second builds that share an event log write, against the raw limit of the same database."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import python_environment
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.rows import Row
from benchmarks.sitting import Contestant, Measured, Sitting
from tools.python import child

SCENARIO: Final = "event log"
SINGLE: Final = "one insert a transaction"
BATCHED: Final = "batched inserts"
BUILDS: Final = "builds"
JOBS: Final = "builds with processes"
UNCLAIMED: Final = "the same without claims"
SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_MODES: Final = {SINGLE: "single", BATCHED: "batched", BUILDS: "builds", JOBS: "jobs", UNCLAIMED: "unclaimed"}
_PROGRAM: Final = Path(__file__).with_name("log_load.py")


class _Load:
    """Loads a new event log."""

    def __init__(
        self, folder: Path, backend: str, mode: str, new_uri: Callable[[], str], builds: int, tasks: int, job: str
    ) -> None:
        self.name = f"{backend}: {mode}"
        self._folder = folder
        self._mode = mode
        self._new_uri = new_uri
        self._arguments = (str(builds), str(tasks), job)

    def run(self, environment: Mapping[str, str]) -> Run:
        """Loads it, and takes the time that the program itself took, start-up aside."""
        output = self._folder / "output"
        argv = child.command(str(_PROGRAM), _MODES[self._mode], self._new_uri(), *self._arguments)
        run = run_process(argv, python_environment(environment, self._folder), output)
        try:
            found = json.loads(output.read_text())
        except ValueError as error:
            raise BrokenRunError(f"{self.name} did not say what it took:\n{output.read_text()[:500]}") from error
        return Run(seconds=found["seconds"], peak_memory_bytes=run.peak_memory_bytes, events=found["events"])


def load(sitting: Sitting, _start_up: Mapping[str, Measured]) -> Iterator[Row]:
    """Loads event logs with as many builds as the sizes say, and yields the rows of each number of builds."""
    folder = sitting.folder / "event-logs"
    folder.mkdir()
    tasks = sitting.sizes.tasks_of_a_build
    with ExitStack() as stack:
        backends = {SQLITE: _sqlite_in(folder), POSTGRESQL: _postgresql(stack)}
        for builds in sitting.sizes.builds_at_once:
            contestants: list[Contestant] = [
                _Load(folder, backend, mode, new_uri, builds, tasks, sitting.job.path)
                for backend, new_uri in backends.items()
                for mode in _MODES
                if builds == 1 or mode not in {JOBS, UNCLAIMED}
            ]
            for of_one in sitting.measure(f"{SCENARIO} of {builds}", contestants):
                yield Row(
                    scenario=SCENARIO,
                    size=builds,
                    what=of_one.name,
                    tasks=builds * tasks,
                    processes=of_one.processes,
                    seconds=of_one.seconds,
                    median_seconds=of_one.median_seconds,
                    events_per_second=of_one.events / of_one.seconds,
                    peak_memory_bytes=of_one.peak_memory_bytes,
                )


def _sqlite_in(folder: Path) -> Callable[[], str]:
    count = iter(range(sys.maxsize))
    return lambda: f"sqlite:{folder}/{next(count)}.db"


def _postgresql(stack: ExitStack) -> Callable[[], str]:
    from tests.postgresql.server import Server

    server = Server()
    stack.callback(server.close)
    new_uri: Callable[[], str] = server.new_database
    return new_uri
