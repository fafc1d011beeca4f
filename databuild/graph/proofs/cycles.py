"""The proof that no ref of a declared job needs itself, over `inputs` and `optional_inputs`.

Jobs may need each other in a circle if every way around leads strictly back in time, or strictly down an `int`, or both
strictly the other way. A way around that moves one field only, such as the days of a job that needs its yesterday and
the same day of another region, may use another field for the rest of its proof: edges that no way around can use, by
one clock, are removed, and the rest is proven by another one.

A circle that is not proven is searched for a chain of refs. A small graph is looked at ref by ref.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from databuild.graph.catalog import JobCatalog
from databuild.graph.proofs.chains import find_chain, find_endless_chain
from databuild.graph.proofs.clocks import ClockProof, clocks
from databuild.graph.proofs.dependency_edges import JobEdge, cyclic_components, job_edges
from databuild.graph.proofs.domains import Domain, domain_of
from databuild.graph.proofs.exploration import TooManyRefsError, enumerate_refs, explore
from databuild.graph.proofs.findings import Chain, Undecided
from databuild.graph.proofs.links import Links
from databuild.tuples import NamedTuple

_SHOWN: Final = 3


class Cycles(NamedTuple):
    """The results of the proof.

    Attributes:
        job_cycles: The number of groups of jobs that need each other.
        chains: A counter-example for each group that has one.
        undecided: The groups that could not be decided.
    """

    job_cycles: int
    chains: tuple[Chain, ...]
    undecided: tuple[Undecided, ...]


def check_cycles(catalog: JobCatalog, links: Links) -> Cycles:
    """Proves that no ref of a declared job needs itself, through declared jobs."""
    domains = {label: domain_of(job) for label, job in catalog.declared.items()}
    circles = list(cyclic_components(job_edges(domains, links)))
    chains: list[Chain] = []
    undecided: list[Undecided] = []
    for circle in circles:
        for edges in _unproven(circle, domains, must_end=True):
            finding = _refute(catalog, edges, domains)
            if isinstance(finding, Chain) and catalog.lookup:
                reason = "partitions need themselves unless the lookup names other producers"
                finding = Undecided(_subject(edges), reason, finding.refs[:1])
            if isinstance(finding, Chain):
                chains.append(finding)
            elif finding is not None:
                undecided.append(finding)
    return Cycles(len(circles), tuple(chains), tuple(undecided))


def _unproven(
    edges: Sequence[JobEdge], domains: Mapping[str, Domain], *, must_end: bool
) -> Iterator[Sequence[JobEdge]]:
    """Yields the components that remain after all edges have been removed that no way around can use.

    Args:
        edges: The edges of a component.
        domains: The domains of the jobs.
        must_end: True to keep edges that an endless chain may use.
    """
    pending = [list(edges)]
    steps = itertools.count()
    while pending:
        component = pending.pop()
        removed = next(filter(None, _removals(component, domains, steps, must_end=must_end)), None)
        if removed is None:
            yield component
        else:
            pending += cyclic_components(edge for number, edge in enumerate(component) if number not in removed)


def _removals(
    edges: Sequence[JobEdge], domains: Mapping[str, Domain], steps: Iterator[int], *, must_end: bool
) -> Iterator[set[int]]:
    for clock, backwards in itertools.product(clocks(edges, domains), (True, False)):
        proof = ClockProof(edges, domains, clock, steps, backwards=backwards)
        removed = proof.edges_without_return()
        yield proof.ends(removed) if must_end else removed


def _refute(catalog: JobCatalog, edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> Chain | Undecided | None:
    """Looks for a counter-example among edges for which the proof fails; None if there is none."""
    labels = dict.fromkeys(edge.source for edge in edges)
    subject = _subject(edges)
    has_integers = any("int" in domains[label].job.fields.values() for label in labels)
    circles = list(_unproven(edges, domains, must_end=False)) if has_integers else [edges]
    for circle in circles:
        chain = find_chain(catalog, circle, domains) or explore(catalog, circle, domains)
        if chain is not None:
            return chain
    try:
        return enumerate_refs(catalog, edges, domains)
    except TooManyRefsError:
        pass
    if circles:
        return Undecided(subject, "jobs need each other, and perhaps a partition needs itself")
    if (chain := find_endless_chain(catalog, edges, domains)) is not None:
        return chain
    return Undecided(subject, "jobs need each other, and perhaps a chain of inputs has no end")


def _subject(edges: Sequence[JobEdge]) -> str:
    labels = list(dict.fromkeys(edge.source for edge in edges))
    return " and ".join(labels) if len(labels) <= _SHOWN else f"{', '.join(labels[:_SHOWN])} and others"
