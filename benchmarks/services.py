"""A service over HTTP: its latency, its throughput of submissions, and the time that it adds to a build."""

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
from benchmarks.served_builds import ways_to_build
from benchmarks.service_process import FLAGS, Service, submit, watch
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Wide

SCENARIO: Final = "service"
SUBMISSIONS: Final = "submissions"
FIRST_EVENT: Final = "submission to first event"
TO_WATCHER: Final = "event to watcher"

_CONNECTIONS = 32


class _Contestant:
    def __init__(self, name: str, graph: Graph, parallelism: int, count: int) -> None:
        self.name = name
        self._graph = graph
        self._parallelism = parallelism
        self._count = count
        self._states = itertools.count()

    def _serve(self, environment: Mapping[str, str]) -> Service:
        state = f"{self.name}-{next(self._states)}".replace(" ", "-")
        return Service(self._graph.command(state, "serve", *FLAGS), python_environment(environment, self._graph.folder))


class _Burst(_Contestant):
    """Many parallel submissions; a run ends with the last answer."""

    def run(self, environment: Mapping[str, str]) -> Run:
        service = self._serve(environment)

        def submit_some(numbers: Sequence[int]) -> None:
            with service.connect() as connection:
                for number in numbers:
                    submit(connection, self._parallelism, f"leaf/{number}")

        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            started = time.perf_counter()
            list(threads.map(submit_some, (range(first, self._count, _CONNECTIONS) for first in range(_CONNECTIONS))))
            seconds = time.perf_counter() - started
        return Run(seconds=seconds, peak_memory_bytes=service.end())


class _Latency(_Contestant):
    """Small builds, one after the other, each watched from its submission."""

    def __init__(self, graph: Graph, parallelism: int, count: int) -> None:
        super().__init__("latency", graph, parallelism, count)
        self._first_event: list[list[float]] = []
        self._to_watcher: list[list[float]] = []

    @property
    def first_event(self) -> list[float]:
        """The times from submission to first event, of all timed runs; the first run is not timed."""
        return [seconds for run in self._first_event[1:] for seconds in run]

    @property
    def to_watcher(self) -> list[float]:
        """The times from event to watcher, of all timed runs."""
        return [seconds for run in self._to_watcher[1:] for seconds in run]

    def run(self, environment: Mapping[str, str]) -> Run:
        service = self._serve(environment)
        first_event: list[float] = []
        to_watcher: list[float] = []
        run_started = time.perf_counter()
        with service.connect() as submitting:
            for number in range(self._count):
                submitted = time.time()
                build = submit(submitting, self._parallelism, f"leaf/{number}")
                with service.connect() as watching:
                    watched = time.time()
                    arrival, _ = next(events := watch(watching, build))
                    first_event.append(arrival - submitted)
                    # Events from before the watch are not measured: they waited for the watcher, not for the service.
                    times = ((came, datetime.fromisoformat(event["time"]).timestamp()) for came, event in events)
                    to_watcher += [came - happened for came, happened in times if happened > watched]
        self._first_event.append(first_event)
        self._to_watcher.append(to_watcher)
        return Run(seconds=time.perf_counter() - run_started, peak_memory_bytes=service.end())


def serve(session: Session, _start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Measures builds by services, submissions and latencies, and yields their rows."""
    sizes = session.sizes
    graph = Graph(session.folder / SCENARIO, Wide(width=sizes.served_tasks), session.job)
    builds = ways_to_build(graph, session.parallelism, session.folder)
    for measurement in session.measure(SCENARIO, builds, turns_per_repeat=2):
        yield _row(
            measurement, measurement.name, sizes.served_tasks, graph.tasks, [run.seconds for run in measurement.runs]
        )
    latency = _Latency(graph, session.parallelism, sizes.watched_builds)
    contestants: list[Contestant] = [_Burst(SUBMISSIONS, graph, session.parallelism, sizes.submissions), latency]
    burst, small = session.measure(SCENARIO, contestants)
    yield _row(burst, SUBMISSIONS, sizes.submissions, sizes.submissions, [run.seconds for run in burst.runs])
    yield _row(small, FIRST_EVENT, sizes.watched_builds, sizes.watched_builds, latency.first_event, percentile=True)
    yield _row(small, TO_WATCHER, sizes.watched_builds, sizes.watched_builds, latency.to_watcher, percentile=True)


def _row(
    measurement: Measurement, name: str, size: int, tasks: int, seconds: Sequence[float], *, percentile: bool = False
) -> Row:
    """Returns a row of times; `percentile` is True if there are enough times for a 99th percentile."""
    return Row(
        scenario=SCENARIO,
        size=size,
        name=name,
        tasks=tasks,
        processes=measurement.processes,
        seconds=min(seconds),
        median_seconds=statistics.median(seconds),
        p99_seconds=sorted(seconds)[len(seconds) * 99 // 100] if percentile else None,
        peak_memory_bytes=measurement.peak_memory_bytes,
    )
