"""Checks the proofs about declared jobs on generated graphs against enumeration of every ref."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.catalog import JobCatalog
from databuild.graph.proofs.coverage import Coverage, check_coverage
from databuild.graph.proofs.cycles import Cycles, check_cycles
from databuild.graph.proofs.findings import Chain
from databuild.graph.proofs.links import Links
from tests.support.declared_graphs import Enumeration, needs, values
from tests.support.drawn_graphs import CONSTANTS, job_graphs


def proofs(catalog: JobCatalog) -> tuple[Coverage, Cycles]:
    links = Links(catalog)
    return check_coverage(catalog, links), check_cycles(catalog, links)


def check_chain(catalog: JobCatalog, chain: Chain) -> None:
    """Checks that each ref of a chain needs the next one, and that the chain comes back unless it is endless."""
    assert len(chain.refs) > 1
    for output, needed in itertools.pairwise(chain.refs):
        assert needs(catalog, output, needed), (output, needed)
    assert (chain.refs[0] == chain.refs[-1]) != chain.is_endless


@given(job_graphs(is_bounded=True))
@settings(max_examples=150, deadline=None)
def test_proofs_of_bounded_graphs_agree_with_a_look_at_every_ref(catalog: JobCatalog) -> None:
    truth = Enumeration(catalog)
    coverage, cycles = proofs(catalog)

    assert {(missing.job_label, missing.template) for missing in coverage.missing} == truth.missing
    assert bool(cycles.chains) == truth.has_cycle()
    assert not coverage.undecided
    assert not cycles.undecided
    for missing in coverage.missing:
        assert needs(catalog, missing.output, missing.needed)
        assert catalog.find_owner(missing.needed) is None
    for chain in cycles.chains:
        check_chain(catalog, chain)
        assert not chain.is_endless


@given(job_graphs(is_bounded=False), st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_of_graphs_without_bounds_hold_for_the_refs_that_are_looked_at(
    catalog: JobCatalog, data: st.DataObject
) -> None:
    coverage, cycles = proofs(catalog)
    for chain in cycles.chains:
        check_chain(catalog, chain)
    refuted = {(missing.job_label, missing.template) for missing in coverage.missing}
    undecided = {undecided.subject for undecided in coverage.undecided}
    for job in catalog.declared.values():
        refs = [
            "/".join([job.label.removeprefix("//:"), *(CONSTANTS[kind] for kind in job.fields.values())]),
            job.outputs[0].ref({field: data.draw(values_of(kind)) for field, kind in job.fields.items()}),
        ]
        for template in job.inputs:
            is_proven = (job.label, template.text) not in refuted and f"{job.label}, {template.text!r}" not in undecided
            for fields in filter(None, map(job.fields_of, refs)):
                if is_proven:
                    assert all(map(catalog.find_owner, values(template, fields)))


def values_of(kind: str) -> st.SearchStrategy[str]:
    if kind == "int":
        return st.integers(-9, 9).map(str)
    date = st.dates().map(str)
    forms = {
        "date": date,
        "month": date.map(lambda text: text[:7]),
        "hour": date.map(lambda text: f"{text}T05"),
        "week": st.dates().map(lambda day: "{:04}-W{:02}".format(*day.isocalendar())),
    }
    return forms[kind]
