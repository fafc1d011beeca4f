"""Runs the graph by Luigi with its local scheduler. The marker of a finished task is an empty file."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import luigi

from benchmarks.peers.graph import name_of, read_graph

GRAPH = read_graph()


class Ref(luigi.Task):
    """The task of a ref."""

    ref = luigi.Parameter()

    def requires(self) -> Iterator[luigi.Task]:
        return (Ref(ref=used) for used in GRAPH.inputs[self.ref])

    def output(self) -> luigi.Target:
        return luigi.LocalTarget(name_of(self.ref))

    def run(self) -> None:
        GRAPH.run(self.ref)
        self.output().open("w").close()


if __name__ == "__main__":
    built = luigi.build([Ref(ref=GRAPH.last)], workers=GRAPH.parallelism, local_scheduler=True, log_level="ERROR")
    sys.exit(not built)
