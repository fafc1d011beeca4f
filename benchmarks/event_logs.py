"""Throughput of an event log that builds share, in events per second, compared with the raw limit of its database."""

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
from benchmarks.session import Contestant, Measurement, Session
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
    """Loads a new event log with events."""

    def __init__(
        self, folder: Path, backend: str, mode: str, new_uri: Callable[[], str], builds: int, tasks: int, job: str
    ) -> None:
        self.name = f"{backend}: {mode}"
        self._folder = folder
        self._mode = mode
        self._new_uri = new_uri
        self._arguments = (str(builds), str(tasks), job)

    def run(self, environment: Mapping[str, str]) -> Run:
        """Returns the time that the program has measured, which excludes its start-up."""
        output = self._folder / "output"
        argv = child.command(str(_PROGRAM), _MODES[self._mode], self._new_uri(), *self._arguments)
        run = run_process(argv, python_environment(environment, self._folder), output)
        try:
            result = json.loads(output.read_text())
        except ValueError as error:
            raise BrokenRunError(f"{self.name} printed no result:\n{output.read_text()[:500]}") from error
        return Run(seconds=result["seconds"], peak_memory_bytes=run.peak_memory_bytes, events=result["events"])


def load(session: Session, _start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Loads event logs with increasing numbers of parallel builds, and yields their rows."""
    folder = session.folder / "event-logs"
    folder.mkdir()
    tasks = session.sizes.tasks_per_build
    with ExitStack() as stack:
        backends = {SQLITE: _sqlite_in(folder), POSTGRESQL: _postgresql(stack)}
        for builds in session.sizes.parallel_builds:
            contestants: list[Contestant] = [
                _Load(folder, backend, mode, new_uri, builds, tasks, session.job.path)
                for backend, new_uri in backends.items()
                for mode in _MODES
                if builds == 1 or mode not in {JOBS, UNCLAIMED}
            ]
            for measurement in session.measure(f"{SCENARIO} of {builds}", contestants):
                yield Row(
                    scenario=SCENARIO,
                    size=builds,
                    name=measurement.name,
                    tasks=builds * tasks,
                    processes=measurement.processes,
                    seconds=measurement.seconds,
                    median_seconds=measurement.median_seconds,
                    events_per_second=measurement.events / measurement.seconds,
                    peak_memory_bytes=measurement.peak_memory_bytes,
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
