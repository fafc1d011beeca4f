"""A served graph, asked over HTTP: how soon it answers, how much at once, and what it adds to a build."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from benchmarks.databuild_runs import Graph, python_environment
from benchmarks.processes import Run
from benchmarks.rows import Row
from benchmarks.served import FLAGS, Service, submit, watch
from benchmarks.served_builds import WAYS_TO_BUILD
from benchmarks.shapes import Wide
from benchmarks.sitting import Contestant, Measured, Sitting

SCENARIO: Final = "service"
SUBMISSIONS: Final = "submissions"
FIRST_EVENT: Final = "submission to first event"
TO_WATCHER: Final = "event to watcher"

_CONNECTIONS = 32


class _Contestant:
    def __init__(self, name: str, graph: Graph, at_once: int, count: int) -> None:
        self.name = name
        self._graph = graph
        self._at_once = at_once
        self._count = count
        self._states = itertools.count()

    def _serve(self, environment: Mapping[str, str]) -> Service:
        state = f"{self.name}-{next(self._states)}".replace(" ", "-")
        return Service(self._graph.command(state, "serve", *FLAGS), python_environment(environment, self._graph.folder))


class _Burst(_Contestant):
    """Many submissions at once; it is over when the last of them is answered."""

    def run(self, environment: Mapping[str, str]) -> Run:
        """Submits."""
        service = self._serve(environment)

        def submit_some(numbers: Sequence[int]) -> None:
            with service.connect() as connection:
                for number in numbers:
                    submit(connection, self._at_once, f"leaf/{number}")

        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            started = time.perf_counter()
            list(threads.map(submit_some, (range(first, self._count, _CONNECTIONS) for first in range(_CONNECTIONS))))
            seconds = time.perf_counter() - started
        return Run(seconds=seconds, peak_memory_bytes=service.end())


class _Latency(_Contestant):
    """One small build after the other, each watched from its submission on."""

    def __init__(self, graph: Graph, at_once: int, count: int) -> None:
        super().__init__("latency", graph, at_once, count)
        self._first_event: list[list[float]] = []
        self._to_watcher: list[list[float]] = []

    @property
    def first_event(self) -> list[float]:
        """The times from submission to first event, of all runs that were timed."""
        return [seconds for run in self._first_event[1:] for seconds in run]

    @property
    def to_watcher(self) -> list[float]:
        """The times from event to watcher, of all runs that were timed."""
        return [seconds for run in self._to_watcher[1:] for seconds in run]

    def run(self, environment: Mapping[str, str]) -> Run:
        """Submits and watches."""
        service = self._serve(environment)
        first_event: list[float] = []
        to_watcher: list[float] = []
        begun = time.perf_counter()
        with service.connect() as submitting:
            for number in range(self._count):
                started = time.time()
                build = submit(submitting, self._at_once, f"leaf/{number}")
                with service.connect() as watching:
                    asked = time.time()
                    came, _ = next(events := watch(watching, build))
                    first_event.append(came - started)
                    # What had happened before somebody watched would tell nothing.
                    times = ((came, datetime.fromisoformat(event["time"]).timestamp()) for came, event in events)
                    to_watcher += [came - happened for came, happened in times if happened > asked]
        self._first_event.append(first_event)
        self._to_watcher.append(to_watcher)
        return Run(seconds=time.perf_counter() - begun, peak_memory_bytes=service.end())


def serve(sitting: Sitting, _start_up: Mapping[str, Measured]) -> Iterator[Row]:
    """Asks services in turns, and yields the rows."""
    sizes = sitting.sizes
    graph = Graph(sitting.folder / SCENARIO, Wide(width=sizes.served_tasks), sitting.job)
    builds: list[Contestant] = [build(graph, sitting.at_once) for build in WAYS_TO_BUILD]
    for of_one in sitting.measure(SCENARIO, builds, turns_per_repeat=2):
        yield _row(of_one, of_one.name, sizes.served_tasks, graph.tasks, [run.seconds for run in of_one.runs])
    latency = _Latency(graph, sitting.at_once, sizes.watched_builds)
    asked: list[Contestant] = [_Burst(SUBMISSIONS, graph, sitting.at_once, sizes.submissions), latency]
    burst, small = sitting.measure(SCENARIO, asked)
    yield _row(burst, SUBMISSIONS, sizes.submissions, sizes.submissions, [run.seconds for run in burst.runs])
    yield _row(small, FIRST_EVENT, sizes.watched_builds, sizes.watched_builds, latency.first_event, of_each=True)
    yield _row(small, TO_WATCHER, sizes.watched_builds, sizes.watched_builds, latency.to_watcher, of_each=True)


def _row(of_one: Measured, what: str, size: int, tasks: int, seconds: Sequence[float], *, of_each: bool = False) -> Row:
    """Returns a row of times; `of_each` is whether each is one of very many, of which a few may be far off."""
    return Row(
        scenario=SCENARIO,
        size=size,
        what=what,
        tasks=tasks,
        processes=of_one.processes,
        seconds=min(seconds),
        median_seconds=statistics.median(seconds),
        p99_seconds=sorted(seconds)[len(seconds) * 99 // 100] if of_each else None,
        peak_memory_bytes=of_one.peak_memory_bytes,
    )
