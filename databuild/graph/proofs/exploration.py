"""Searches for cycles ref by ref: near some refs of any jobs, or over all refs of jobs with few."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from databuild.errors import InvalidPatternError
from databuild.graph.catalog import JobCatalog
from databuild.graph.proofs.dependency_edges import JobEdge
from databuild.graph.proofs.domains import Domain, is_produced
from databuild.graph.proofs.findings import Chain

_MAX_ENUMERATED: Final = 20_000
"""Maximum number of refs that are looked at one by one."""

_MAX_ENUMERATED_INPUTS: Final = 500_000

_MAX_EXPLORED: Final = 2000
_MAX_EXPLORED_INPUTS: Final = 50

RefNode = tuple[str, tuple[tuple[str, str], ...]]
"""The label of a job, and the fields of one of its refs, sorted by name."""


class TooManyRefsError(Exception):
    """There are too many refs to look at each."""


def explore(catalog: JobCatalog, edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> Chain | None:
    """Looks at the refs near some readable ones, breadth first; returns a chain that comes back to one of those."""
    for label in dict.fromkeys(edge.source for edge in edges):
        domain = domains[label]
        fields = domain.readable_fields()
        if domain.output(fields) is None:
            continue
        start = label, tuple(sorted(fields.items()))
        needed_by: dict[RefNode, tuple[RefNode, str]] = {}
        level = [start]
        budget = itertools.count()
        while level:
            next_level: list[RefNode] = []
            for node in level:
                for ref, needed in itertools.islice(inputs_of(catalog, node, edges), _MAX_EXPLORED_INPUTS):
                    if next(budget) >= _MAX_EXPLORED:
                        break
                    if needed == start:
                        refs = [ref]
                        while node != start:
                            node, through = needed_by[node]  # noqa: PLW2901
                            refs.insert(0, through)
                        return Chain((ref, *refs))
                    if needed not in needed_by:
                        needed_by[needed] = node, ref
                        next_level.append(needed)
            level = next_level if next(budget) < _MAX_EXPLORED else []
    return None


def inputs_of(catalog: JobCatalog, node: RefNode, edges: Iterable[JobEdge]) -> Iterator[tuple[str, RefNode]]:
    """Yields what edges need for a ref, each with its ref."""
    label, fields = node
    for edge in edges:
        if edge.source != label:
            continue
        try:
            refs = edge.link.template.values(dict(fields))
        except InvalidPatternError:
            continue
        for ref in refs:
            matched = edge.link.pattern.match(ref)
            if matched is not None and is_produced(catalog, ref):
                yield ref, (edge.target, tuple(sorted(matched.items())))


def enumerate_refs(catalog: JobCatalog, edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> Chain | None:
    """Looks at all refs of jobs, depth first; returns a chain that comes back to its first ref, None if there is none.

    Raises:
        TooManyRefsError: There are too many refs or inputs.
    """
    labels = dict.fromkeys(edge.source for edge in edges)
    if sum(domains[label].size for label in labels) > _MAX_ENUMERATED:
        raise TooManyRefsError
    budget = itertools.count()
    done: set[RefNode] = set()

    def inputs(node: RefNode) -> Iterator[tuple[str, RefNode]]:
        for found in inputs_of(catalog, node, edges):
            if next(budget) > _MAX_ENUMERATED_INPUTS:
                raise TooManyRefsError
            yield found

    for label in labels:
        for fields in domains[label].all_fields():
            root = label, tuple(sorted(fields.items()))
            if root in done or domains[label].output(fields) is None:
                continue
            stack = [("", root, inputs(root))]
            on_path = {root}
            while stack:
                _, node, rest = stack[-1]
                ref, needed = next(rest, ("", root))
                if not ref:
                    stack.pop()
                    on_path.discard(node)
                    done.add(node)
                elif needed in on_path:
                    refs = [step[0] for step in stack]
                    start = next(number for number, step in enumerate(stack) if step[1] == needed)
                    return Chain((ref, *refs[start + 1 :], ref))
                elif needed not in done:
                    on_path.add(needed)
                    stack.append((ref, needed, inputs(needed)))
    return None
