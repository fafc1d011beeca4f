"""Conversion between graphs by job and their messages."""

from __future__ import annotations

from typing import Final

from databuild.model.graph_view import EDGE_KINDS, GraphEdge, GraphJob, GraphView, PartitionCounts
from databuild.model.views import DeclaredDependent, DeclaredDependents
from databuild.v1 import service_pb2 as sv

_KINDS: Final = {kind: sv.GraphEdge.Kind.Value(f"KIND_{kind}") for kind in EDGE_KINDS}
_KIND_NAMES: Final = {number: kind for kind, number in _KINDS.items()}


def graph_to_message(view: GraphView) -> sv.Graph:
    return sv.Graph(
        graph_label=view.graph_label,
        jobs=[
            sv.GraphJob(
                job_label=job.job_label,
                outputs=job.outputs,
                declared=job.declared,
                counts=_counts_to_message(job.counts) if job.counts is not None else None,
            )
            for job in view.jobs
        ],
        edges=[sv.GraphEdge(**{**edge._asdict(), "kind": _KINDS[edge.kind]}) for edge in view.edges],
    )


def graph_from_message(message: sv.Graph) -> GraphView:
    """Converts a message.

    Raises:
        KeyError: The message has a kind of edge that this version does not know.
    """
    return GraphView(
        message.graph_label,
        tuple(
            GraphJob(
                job.job_label,
                tuple(job.outputs),
                job.declared,
                _counts_from_message(job.counts) if job.HasField("counts") else None,
            )
            for job in message.jobs
        ),
        tuple(
            GraphEdge(
                edge.upstream_job_label,
                edge.external_input,
                edge.job_label,
                _KIND_NAMES[edge.kind],
                edge.template,
                edge.mapping,
            )
            for edge in message.edges
        ),
    )


def dependents_to_message(dependents: DeclaredDependents) -> sv.DeclaredDownstream:
    return sv.DeclaredDownstream(
        dependents=[
            sv.DeclaredDependent(**{**row._asdict(), "kind": _KINDS[row.kind]}) for row in dependents.dependents
        ],
        truncated=not dependents.complete,
        undeclared_job_labels=dependents.undeclared_jobs,
    )


def dependents_from_message(message: sv.DeclaredDownstream) -> DeclaredDependents:
    """Converts a message.

    Raises:
        KeyError: The message has a kind of input that this version does not know.
    """
    rows = (
        DeclaredDependent(row.partitions, row.distance, row.job_label, _KIND_NAMES[row.kind], row.input)
        for row in message.dependents
    )
    return DeclaredDependents(tuple(rows), not message.truncated, tuple(message.undeclared_job_labels))


def _counts_to_message(counts: PartitionCounts) -> sv.PartitionCounts:
    return sv.PartitionCounts(by_status=counts.by_status, incomplete=not counts.complete)


def _counts_from_message(message: sv.PartitionCounts) -> PartitionCounts:
    return PartitionCounts(dict(sorted(message.by_status.items())), complete=not message.incomplete)
