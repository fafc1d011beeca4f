"""Jobs in Python that do nothing, by workers: their execution and their `config`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import Build, Graph, Plan
from benchmarks.noop_job import NoopJob
from benchmarks.processes import Run
from benchmarks.raw_limit import start_all
from benchmarks.rows import Row
from benchmarks.session import Measurement, Session
from benchmarks.shapes import Chain, Wide
from tools.python import child

SCENARIO: Final = "workers"
PYTHON_STARTS: Final = "starts of python3 -S"
BUILD: Final = "DataBuild build, by workers"
PLAN: Final = "DataBuild plan, by workers"


class _PythonStarts:
    """Starts a bare interpreter for each task, and waits for free slots only."""

    name = PYTHON_STARTS

    def __init__(self, tasks: int, parallelism: int) -> None:
        self._argvs = [(sys.executable, "-I", "-S", "-c", "pass")] * tasks
        self._parallelism = parallelism

    def run(self, environment: Mapping[str, str]) -> Run:
        return Run(seconds=start_all(self._argvs, self._parallelism, environment))


def serve(session: Session, _start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Measures a build of many tasks and a plan of a chain by workers, and yields their rows."""
    job = _worker_program(session.folder)
    wide = Wide(width=session.sizes.worker_tasks)
    starts = _PythonStarts(wide.tasks, session.parallelism)
    build = Build(Graph(session.folder / "workers", wide, job, worker=True), parallelism=session.parallelism)
    build.name = BUILD
    raw, by_workers = session.measure(SCENARIO, [starts, build])
    yield _row(raw, wide.size, wide.tasks)
    yield _row(by_workers, wide.size, wide.tasks, raw_ratio=by_workers.seconds / raw.seconds)

    lengths = (1, session.sizes.chain)
    plans = [Plan(Graph(session.folder / f"workers-{n}", Chain(length=n), job, worker=True)) for n in lengths]
    for plan in plans:
        plan.name = PLAN
    one, chain = session.measure(SCENARIO, plans)
    yield _row(one, 1, 1)
    # Beyond the plan of one partition, which has the start-up and the start of the worker.
    added_ms = (chain.seconds - one.seconds) / (session.sizes.chain - 1) * 1e3
    yield _row(chain, session.sizes.chain, session.sizes.chain, added_ms=added_ms)


def _worker_program(folder: Path) -> NoopJob:
    """Writes the executable of the job in Python."""
    program = folder / "noop_worker"
    command = shlex.join(child.command(str(Path(__file__).with_name("noop_worker.py"))))
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    return NoopJob(path=str(program), kind="Python program")


def _row(
    measurement: Measurement, size: int, tasks: int, *, raw_ratio: float | None = None, added_ms: float | None = None
) -> Row:
    return Row(
        scenario=SCENARIO,
        size=size,
        name=measurement.name,
        tasks=tasks,
        processes=measurement.processes,
        seconds=measurement.seconds,
        median_seconds=measurement.median_seconds,
        raw_ratio=raw_ratio,
        added_ms=added_ms,
        peak_memory_bytes=measurement.peak_memory_bytes or None,
    )
