"""Tasks of doit: one for each ref."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.peers.graph import name_of, read_graph

GRAPH = read_graph()


def task_make() -> Iterator[dict[str, Any]]:
    for ref, inputs in GRAPH.inputs.items():
        yield {
            "name": name_of(ref),
            "actions": [[GRAPH.job, "exec", ref]],
            "task_dep": [f"make:{name_of(used)}" for used in inputs],
        }
