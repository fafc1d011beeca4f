"""Hypothesis strategies for graphs of declared jobs that depend on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from databuild.graph.catalog import Job, JobCatalog
from tests.support.declared_graphs import declared, graph

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
