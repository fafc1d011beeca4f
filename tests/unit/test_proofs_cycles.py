"""The proof that no ref of declared jobs needs itself."""

from __future__ import annotations

import itertools

import pytest

from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.proofs.cycles import Cycles, check_cycles
from databuild.graph.proofs.links import Links
from tests.support.declared_graphs import configured, declared, graph, needs


def cycles(catalog: JobCatalog) -> Cycles:
    return check_cycles(catalog, Links(catalog))


def chain(*jobs: Job) -> tuple[str, ...]:
    """Returns the refs of the counter-example, checked; empty if the proof succeeds."""
    catalog = graph(*jobs)
    found = cycles(catalog)
    assert not found.undecided
    if not found.chains:
        return ()
    (example,) = found.chains
    for output, needed in itertools.pairwise(example.refs):
        assert needs(catalog, output, needed)
        assert catalog.find_owner(needed) is not None
    assert (example.refs[0] == example.refs[-1]) != example.is_endless
    return example.refs


@pytest.mark.parametrize(
    ("output", "optional"),
    [
        ("a/{d:date}", ["a/{d-1}"]),
        ("a/{d:date}", ["a/{d+1}"]),
        ("a/{d:date}", ["a/{d-7..d-1}", "a/{d-1mo}", "a/{d.month.first_date-1}", "a/{d-1y}"]),
        ("a/{d:date}", ["a/{d.month.first_date..d-1}"]),
        ("a/{d:date}", ["a/{d-1mo+27}"]),
        ("a/{d:date}", ["a/{d.week.first_date-1}"]),
        ("a/{w:week}", ["a/{w-53..w-1}"]),
        ("a/{h:hour}", ["a/{h-1}"]),
        ("a/{h:hour}", ["a/{h-1mo}"]),
        ("a/{h:hour}", ["a/{h.date-1.hours}"]),
        ("a/{m:minute}", ["a/{m-1}"]),
        ("a/{m:minute}", ["a/{m-1mo}"]),
        ("a/{m:minute}", ["a/{m.month-1.minutes}"]),
        ("a/{q:quarter}", ["a/{q-1y}"]),
        ("a/{region}/{d:date}", ["a/{region}/{d-1}", "a/eu/{d-1}"]),
        ("a/{d:date}/{step:int}", ["a/{d-1}/{step+5}", "a/{d-1}/7"]),
    ],
)
def test_a_job_may_need_itself_strictly_before_or_strictly_after(output: str, optional: list[str]) -> None:
    assert chain(declared("a", output, optional=optional)) == ()


@pytest.mark.parametrize(
    ("output", "optional", "refs"),
    [
        ("a/{d:date}", ["a/{d}"], ("a/2013-01-31", "a/2013-01-31")),
        ("a/{d:date}", ["a/{d-1..d}"], ("a/2013-01-31", "a/2013-01-31")),
        ("a/{d:date}", ["a/{d.month.dates}"], ("a/2013-01-31", "a/2013-01-31")),
        ("a/{d:date}", ["a/{d-1mo+28}"], ("a/2029-03-28", "a/2029-03-28")),
        ("a/{d:date}", ["a/{d-1}", "a/{d+1}"], ("a/2013-01-31", "a/2013-01-30", "a/2013-01-31")),
        ("a/{h:hour}", ["a/{h.date.hours}"], ("a/2013-01-31T05", "a/2013-01-31T05")),
        ("a/{x}", ["a/{x}"], ("a/x", "a/x")),
        ("a/{x}/{y}", ["a/{y}/{x}"], ("a/x/x", "a/x/x")),
        ("a/{region}/{d:date}", ["a/eu/{d}"], ("a/eu/2013-01-31", "a/eu/2013-01-31")),
        ("all", ["all"], ("all", "all")),
    ],
)
def test_a_job_that_needs_itself_is_found(output: str, optional: list[str], refs: tuple[str, ...]) -> None:
    assert chain(declared("a", output, optional=optional)) == refs


def months(*inputs: str, bounds: dict[str, str] | None = None) -> Job:
    return declared("month", "month/{m:month}", *inputs, bounds=bounds)


@pytest.mark.parametrize(
    ("of_date", "of_month", "refs"),
    [
        (["month/{d.month}"], ["day/{m.dates}"], ("day/2013-01-31", "month/2013-01", "day/2013-01-31")),
        (["month/{d.month}"], ["day/{m.last_date}"], ("day/2013-01-31", "month/2013-01", "day/2013-01-31")),
        (["month/{d.month}"], ["day/{m.first_date-1}"], ()),
        (["month/{d.month-1}"], ["day/{m.dates}"], ()),
        (["month/{d.month-1}", "day/{d-1}"], ["day/{m.dates}", "month/{m-1}"], ()),
        (["month/{d.month+1}"], ["day/{m.dates}"], ()),
    ],
)
def test_periods_of_different_lengths(of_date: list[str], of_month: list[str], refs: tuple[str, ...]) -> None:
    assert chain(declared("day", "day/{d:date}", *of_date), months(*of_month)) == refs


def test_weeks_and_months() -> None:
    week, day = declared("week", "week/{w:week}", "day/{w.dates}"), declared("day", "day/{d:date}", "month/{d.month}")

    assert chain(week, day, months("week/{m.first_date.week-1}")) == ()
    # A week of two months: its last day lies in February, whose last day lies in a week that is four weeks later.
    refs = ("week/2013-W05", "day/2013-02-01", "month/2013-02", "week/2013-W05")
    assert chain(week, day, months("week/{m.last_date.week-4}")) == refs


def test_bounds_exclude_a_cycle() -> None:
    day = declared("day", "day/{d:date}", "month/{d.month}", bounds={"d": "2013-02-01.."})

    assert chain(day, months("day/{m.dates}", bounds={"m": "..2013-01"})) == ()
    refs = ("day/2013-02-01", "month/2013-02", "day/2013-02-01")
    assert chain(day, months("day/{m.dates}", bounds={"m": "..2013-02"})) == refs


@pytest.mark.parametrize(
    ("optional", "bounds", "refs"),
    [
        (["a/{n-1}"], "0..", ()),
        (["a/{n-3..n-1}"], "0..", ()),
        (["a/{n+1}"], "..9", ()),
        (["a/{n-2}", "a/{n+3}"], "0..3", ()),
        (["a/{n-2}", "a/{n+3}"], "0..4", ("a/0", "a/3", "a/1", "a/4", "a/2", "a/0")),
        (["a/{n-1}"], "", ("a/0", "a/-1", "a/-2")),
        (["a/{n-1}"], "..9", ("a/0", "a/-1", "a/-2")),
        (["a/{n+1}"], "0..", ("a/0", "a/1", "a/2")),
    ],
)
def test_a_chain_of_integers_needs_a_bound(optional: list[str], bounds: str, refs: tuple[str, ...]) -> None:
    assert chain(declared("a", "a/{n:int}", optional=optional, bounds={"n": bounds} if bounds else None)) == refs


def test_ways_around_may_use_different_fields() -> None:
    output, steps = "a/{d:date}/{n:int}", ["a/{d-1}/{n+5}", "a/{d}/{n-1}"]

    assert chain(declared("a", output, optional=steps, bounds={"n": "0.."})) == ()
    endless = chain(declared("a", output, optional=steps))
    assert endless == ("a/2013-01-31/0", "a/2013-01-31/-1", "a/2013-01-31/-2")


@pytest.mark.parametrize(("expression", "is_cycle"), [("{d}", True), ("{d-1}", False)])
def test_values_pass_through_texts(expression: str, is_cycle: bool) -> None:
    text = declared("text", "text/{x}", "a/{x}")
    refs = chain(declared("a", "a/{d:date}", f"text/{expression}"), text)

    assert refs == (("a/2013-01-31", "text/2013-01-31", "a/2013-01-31") if is_cycle else ())


def test_a_job_may_not_need_another_output_of_the_same_configuration() -> None:
    assert chain(declared("a", ("a/{d:date}", "b/{d:date}"), "b/{d}")) == ("b/2013-01-31", "b/2013-01-31")
    assert chain(declared("a", ("a/{d:date}", "b/{d:date}"), optional=["b/{d-1}"])) == ()


def test_jobs_with_config_are_no_part_of_the_proof() -> None:
    job = declared("a", "a/{x}", "b/{x}")

    assert chain(job, configured("b", "b/{x}")) == ()


def test_cycles_that_cannot_be_proven_are_undecided() -> None:
    found = cycles(graph(declared("a", "a/{x}", optional=["a/{x}x"])))

    assert not found.chains
    assert [undecided.subject for undecided in found.undecided] == ["//:a"]


def test_fields_that_may_be_divided_in_two_ways_prove_nothing() -> None:
    # 'a/k-0' needs 'a/k--1', which is 1 of 'k-' and not -1 of 'k'.
    found = cycles(graph(declared("a", "a/{x}-{n:int}", optional=["a/{x}-{n-1}"], bounds={"n": "0.."})))

    assert found.chains or found.undecided


def test_a_lookup_may_name_other_producers() -> None:
    found = cycles(graph(declared("a", "a/{d:date}", "a/{d}"), lookup="lookup"))
    proven = cycles(graph(declared("a", "a/{d:date}", "a/{d-1}"), lookup="lookup"))

    assert not found.chains
    assert "lookup" in str(found.undecided[0])
    assert not proven.undecided


def test_counter_examples_in_words() -> None:
    (example,) = cycles(graph(declared("a", "a/{d:date}", "a/{d}"))).chains
    (endless,) = cycles(graph(declared("a", "a/{n:int}", "a/{n-1}"))).chains

    assert str(example) == "'a/2013-01-31' needs itself: 'a/2013-01-31' needs 'a/2013-01-31'"
    assert str(endless).startswith("'a/0' needs 'a/-1' needs 'a/-2', and so on without end")


def test_a_thousand_jobs_with_a_yesterday_each_are_proven() -> None:
    jobs = [
        declared(
            f"job{number}",
            f"job{number}/{{d:date}}",
            *([f"job{number - 1}/{{d}}"] if number else []),
            optional=[f"job{number}/{{d-1}}"],
            bounds={"d": "2013-01-01.."},
        )
        for number in range(1000)
    ]
    catalog = JobCatalog(graph_label="//:graph", jobs={job.label: job for job in jobs})
    found = cycles(catalog)

    assert (found.job_cycles, found.chains, found.undecided) == (1000, (), ())
