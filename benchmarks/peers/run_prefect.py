"""Runs the graph by Prefect: a flow that submits a task for each ref to a pool of threads, with a server of its own."""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from benchmarks.peers.graph import read_graph

GRAPH = read_graph()


@task
def make(ref: str) -> str:
    return GRAPH.run(ref)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=GRAPH.parallelism))
def make_all() -> None:
    futures: dict[str, Any] = {}
    for ref, inputs in GRAPH.inputs.items():
        futures[ref] = make.submit(ref, wait_for=[futures[used] for used in inputs])
    futures[GRAPH.last].result()


if __name__ == "__main__":
    make_all()
