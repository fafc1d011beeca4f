"""Checks the proofs about declared jobs on generated graphs against a look at every ref."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.proofs.coverage import Coverage, check_coverage
from databuild.graph.proofs.cycles import Cycles, check_cycles
from databuild.graph.proofs.findings import Chain
from databuild.graph.proofs.links import Links
from tests.support.declared_graphs import Enumeration, declared, graph, needs, values

KINDS = ("int", "date", "month", "week", "hour")
FIELDS = ("f", "g")

BOUNDS: Mapping[str, Sequence[str]] = {
    "int": ("0..6", "-3..4", "2..2"),
    "date": ("2012-12-28..2013-01-03", "2013-01-30..2013-03-02", "2012-02-27..2012-03-01"),
    "month": ("2012-12..2013-02", "2013-01..2013-03", "2012-02..2012-02"),
    "week": ("2012-W52..2013-W02", "2013-W01..2013-W01"),
    "hour": ("2012-12-31T22..2013-01-01T02", "2013-02-28T21..2013-03-01T02"),
}

CONSTANTS: Mapping[str, str] = {
    "int": "2",
    "date": "2013-01-01",
    "month": "2013-01",
    "week": "2013-W01",
    "hour": "2013-01-01T00",
}

EXPRESSIONS: Mapping[tuple[str, str], Sequence[str]] = {
    ("int", "int"): ("{f}", "{f-1}", "{f+1}", "{f-2..f}", "{f-1..f+1}", "{f-3..f-1}", "{f+1..f-1}"),
    ("date", "date"): (
        "{f}",
        "{f-1}",
        "{f+1}",
        "{f-1mo}",
        "{f+1mo}",
        "{f-2..f}",
        "{f.month.first_date}",
        "{f.month.dates}",
        "{f.month.first_date..f-1}",
        "{f.week.first_date}",
        "{f-1w}",
    ),
    ("date", "month"): ("{f.month}", "{f.month-1}", "{f-40.month}"),
    ("date", "week"): ("{f.week}", "{f.week-1}"),
    ("date", "hour"): ("{f.hours}", "{f.first_hour}"),
    ("month", "date"): ("{f.dates}", "{f.first_date}", "{f.last_date}", "{f.first_date-3..f.first_date-1}"),
    ("month", "month"): ("{f}", "{f-1}", "{f+1}", "{f-1..f}"),
    ("week", "date"): ("{f.dates}", "{f.last_date}"),
    ("week", "week"): ("{f}", "{f-1}"),
    ("hour", "hour"): ("{f}", "{f-1}", "{f-1d}", "{f-1mo}", "{f-1mo-1}", "{f.date.hours}", "{f-3..f-1}"),
    ("hour", "date"): ("{f.date}", "{f.date-1}"),
}


@st.composite
def job_graphs(draw: st.DrawFn, *, is_bounded: bool) -> JobCatalog:
    """Draws up to four jobs that need each other; every field has both bounds, or only some have any."""
    count = draw(st.integers(1, 4))
    kinds = [draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2)) for _ in range(count)]
    jobs: list[Job] = []
    for number in range(count):
        own = kinds[number]
        template = st.one_of(*(templates_for(target, own, kinds[target]) for target in range(count)))
        bounds = {field: draw(st.sampled_from(BOUNDS[kind])) for field, kind in zip(FIELDS, own, strict=False)}
        if not is_bounded:
            bounds = {field: text for field, text in bounds.items() if draw(st.integers(0, 2)) == 0}
        inputs = draw(st.lists(template, max_size=2))
        optional = draw(st.lists(template, max_size=2))
        output = "/".join([f"job{number}", *(f"{{{f}:{kind}}}" for f, kind in zip(FIELDS, own, strict=False))])
        jobs.append(declared(f"job{number}", output, *inputs, optional=optional, bounds=bounds))
    return graph(*jobs)


def templates_for(target: int, own: Sequence[str], kinds: Sequence[str]) -> st.SearchStrategy[str]:
    """Returns templates over a job's own fields for the refs of another job."""
    columns = []
    for kind in kinds:
        texts = [
            expression.replace("{f", "{" + field).replace("..f", ".." + field)
            for field, own_kind in zip(FIELDS, own, strict=False)
            for expression in EXPRESSIONS.get((own_kind, kind), ())
        ]
        columns.append(st.sampled_from(texts or [CONSTANTS[kind]]))
    return st.tuples(*columns).map(lambda texts: "/".join((f"job{target}", *texts)))


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
