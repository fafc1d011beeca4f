"""Runs the graph by threads of Dask or, with the argument `distributed`, by its scheduler and a worker with threads."""

from __future__ import annotations

import functools
import sys

import dask.threaded
from distributed import Client, LocalCluster

from benchmarks.peers.graph import read_graph


def main() -> None:
    graph = read_graph()
    tasks = {ref: (functools.partial(graph.run, ref), *inputs) for ref, inputs in graph.inputs.items()}
    if sys.argv[1:] != ["distributed"]:
        dask.threaded.get(tasks, graph.last, num_workers=graph.parallelism)
        return
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=graph.parallelism, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.get(tasks, graph.last)


if __name__ == "__main__":
    main()
