"""Edges from declared jobs to the declared jobs that produce their inputs, and the components that have cycles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from databuild.graph.declared.expressions import Expression
from databuild.graph.proofs.domains import Domain
from databuild.graph.proofs.interval_maps import interval_map
from databuild.graph.proofs.links import Link, Links
from databuild.tuples import NamedTuple


class JobEdge(NamedTuple):
    """A job that may need refs of a job.

    Attributes:
        source: The label of the job that needs them.
        target: The label of their producer; may be the same.
        link: How the fields of the one determine those of the other.
    """

    source: str
    target: str
    link: Link

    def expression(self, field: str) -> Expression | None:
        """Returns the expression whose value a field of the target gets; None for a text, or if it is not known."""
        slot = self.link.slots.get(field)
        return None if slot is None or slot.expression is None else self.link.template.expressions[slot.expression]


def job_edges(domains: Mapping[str, Domain], links: Links) -> list[JobEdge]:
    """Returns the edges between jobs, without those that the bounds of both exclude."""
    edges = []
    for label, domain in domains.items():
        for template in (*domain.job.inputs, *domain.job.optional_inputs):
            for link in links.of(template):
                edge = JobEdge(label, link.producer, link)
                if link.producer in domains and not _is_excluded(edge, domain):
                    edges.append(edge)
    return edges


def _is_excluded(edge: JobEdge, domain: Domain) -> bool:
    for field, bounds in edge.link.pattern.bounds.items():
        expression = edge.expression(field)
        if expression is None or expression.kind != edge.link.pattern.fields[field]:
            continue
        interval = interval_map(expression)
        first, last = interval.valid(*domain.intervals[expression.field])
        if first > last:
            return True
        if bounds.first is not None and interval.high(last) < bounds.first:
            return True
        if bounds.last is not None and interval.low(first) > bounds.last:
            return True
    return False


def cyclic_components(edges: Iterable[JobEdge]) -> Iterator[list[JobEdge]]:
    """Yields the edges of each strongly connected component that has edges, by Tarjan's algorithm."""
    by_source: dict[str, list[JobEdge]] = {}
    for edge in edges:
        by_source.setdefault(edge.source, []).append(edge)
    component_of = _components({label: [edge.target for edge in out] for label, out in by_source.items()})
    inside: dict[int, list[JobEdge]] = {}
    for out in by_source.values():
        for edge in out:
            if component_of[edge.source] == component_of.get(edge.target):
                inside.setdefault(component_of[edge.source], []).append(edge)
    yield from inside.values()


def _components(targets: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Returns the number of the strongly connected component of each node."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    component_of: dict[str, int] = {}
    path: list[str] = []
    for root in targets:
        if root in index:
            continue
        index[root] = lowest[root] = len(index)
        path.append(root)
        stack = [(root, iter(targets[root]))]
        while stack:
            node, rest = stack[-1]
            for target in rest:
                if target not in index:
                    index[target] = lowest[target] = len(index)
                    path.append(target)
                    stack.append((target, iter(targets.get(target, ()))))
                    break
                if target not in component_of:
                    lowest[node] = min(lowest[node], index[target])
            else:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[node])
                if lowest[node] == index[node]:
                    while node not in component_of:
                        component_of[path.pop()] = index[node]
    return component_of
