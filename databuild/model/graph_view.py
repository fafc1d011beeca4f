"""A graph by job: its jobs, what flows between them, and optionally the counts of their partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.tuples import NamedTuple

INPUT: Final = "INPUT"
OPTIONAL: Final = "OPTIONAL"
QUERY: Final = "QUERY"
RECORDED: Final = "RECORDED"
"""An input that builds have recorded, of a job that does not declare its inputs."""

EDGE_KINDS: Final = (INPUT, OPTIONAL, QUERY, RECORDED)


class PartitionCounts(NamedTuple):
    """The number of partitions of one job.

    Attributes:
        by_status: The number by newest status. Tainted partitions count as `TAINTED` only.
        complete: False if there may be more, since not all partitions were read.
    """

    by_status: Mapping[str, int]
    complete: bool = True


class GraphJob(NamedTuple):
    """A job of a graph.

    Attributes:
        job_label: The label.
        outputs: The partition patterns of its outputs.
        declared: False for a job with `config`, whose inputs are known when they are planned.
        counts: The number of its partitions; None if they were not counted.
    """

    job_label: str
    outputs: tuple[str, ...]
    declared: bool
    counts: PartitionCounts | None = None


class GraphEdge(NamedTuple):
    """One template of the inputs of a job, and one producer of the refs that it yields.

    Attributes:
        upstream_job_label: The producer; empty for an external input.
        external_input: The refs that no job produces, as a pattern; empty if a job produces them.
        job_label: The job that has the input. A job may be its own producer.
        kind: One of EDGE_KINDS.
        template: The input as it was written; empty for RECORDED.
        mapping: The expressions of the template, such as `{month.dates}`; the whole template if it has none.
    """

    upstream_job_label: str
    external_input: str
    job_label: str
    kind: str
    template: str = ""
    mapping: str = ""

    @property
    def label(self) -> str:
        """The mapping with its kind, unless that is INPUT."""
        return " ".join(filter(None, (self.mapping, "" if self.kind == INPUT else self.kind.lower())))


class GraphView(NamedTuple):
    """A graph by job.

    Attributes:
        graph_label: The label of the graph.
        jobs: The jobs, by label.
        edges: Their inputs, by job and in the order of its attributes.
    """

    graph_label: str
    jobs: tuple[GraphJob, ...]
    edges: tuple[GraphEdge, ...]

    @property
    def external_inputs(self) -> tuple[str, ...]:
        """The external inputs, in the order of the edges."""
        return tuple(dict.fromkeys(edge.external_input for edge in self.edges if edge.external_input))
