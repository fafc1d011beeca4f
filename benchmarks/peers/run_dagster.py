"""Runs the graph by Dagster: a job with an op for each ref, one after the other in this process, recorded in SQLite."""

from __future__ import annotations

import sys

from dagster import DagsterInstance, DependencyDefinition, GraphDefinition, In, Nothing, OpDefinition, Out, op

from benchmarks.peers.graph import name_of, read_graph

GRAPH = read_graph()


def op_of(ref: str) -> OpDefinition:
    @op(name=name_of(ref), ins={name_of(used): In(Nothing) for used in GRAPH.inputs[ref]}, out=Out(Nothing))
    def make() -> None:
        GRAPH.run(ref)

    return make


def main() -> int:
    graph = GraphDefinition(
        name="graph",
        node_defs=[op_of(ref) for ref in GRAPH.inputs],
        dependencies={
            name_of(ref): {name_of(used): DependencyDefinition(name_of(used)) for used in inputs}
            for ref, inputs in GRAPH.inputs.items()
        },
    )
    with DagsterInstance.get() as instance:
        return not graph.to_job().execute_in_process(instance=instance).success


if __name__ == "__main__":
    sys.exit(main())
