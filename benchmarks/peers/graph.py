"""The graph to run, for the programs of this folder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple


class Graph(NamedTuple):
    """A graph.

    Attributes:
        job: The path of the program of all tasks.
        parallelism: The number of processes that run at once.
        inputs: The inputs of each ref, in topological order; the last ref needs all others.
    """

    job: str
    parallelism: int
    inputs: dict[str, list[str]]

    @property
    def last(self) -> str:
        return next(reversed(self.inputs))

    def run(self, ref: str, *_: object) -> str:
        """Runs the task of a ref, and returns the ref. Further arguments are results of its inputs."""
        subprocess.run([self.job, "exec", ref], check=True)
        return ref


def read_graph() -> Graph:
    """Reads the graph that the environment names."""
    graph = json.loads(Path(os.environ["BENCHMARK_GRAPH"]).read_text())
    return Graph(graph["job"], graph["parallelism"], {task["ref"]: task["inputs"] for task in graph["tasks"]})


def name_of(ref: str) -> str:
    """Returns a ref as an identifier and as the name of a file."""
    return ref.replace("/", "_")
