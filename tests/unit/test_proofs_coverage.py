"""The proof that every input of declared jobs has a producer."""

from __future__ import annotations

import pytest

from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.proofs.coverage import Coverage, check_coverage
from databuild.graph.proofs.findings import MissingInput
from databuild.graph.proofs.links import Links
from tests.support.declared_graphs import configured, declared, graph, needs

SINCE_2013 = {"date": "2013-01-01.."}


def coverage(catalog: JobCatalog) -> Coverage:
    return check_coverage(catalog, Links(catalog))


def missing(*jobs: Job) -> tuple[str, str] | None:
    """Returns the counter-example, checked; None if the proof succeeds."""
    catalog = graph(*jobs)
    found = coverage(catalog)
    assert not found.undecided
    if not found.missing:
        return None
    (example,) = found.missing
    if example.needed:
        assert needs(catalog, example.output, example.needed)
        assert catalog.find_owner(example.needed) is None
    assert catalog.find_owner(example.output) is not None
    return example.output, example.needed


def raw(bounds: dict[str, str] | None = None) -> Job:
    return declared("raw", "raw/date={date:date}", bounds=bounds)


@pytest.mark.parametrize(
    ("output", "template", "bounds", "example"),
    [
        ("day/{d:date}", "raw/date={d}", "2013-01-01..", None),
        ("day/{d:date}", "raw/date={d}", "", ("day/2012-12-31", "raw/date=2012-12-31")),
        ("day/{d:date}", "raw/date={d}", "2012-12-01..", ("day/2012-12-01", "raw/date=2012-12-01")),
        ("day/{d:date}", "raw/date={d-6..d}", "2013-01-07..", None),
        ("day/{d:date}", "raw/date={d-6..d}", "2013-01-06..", ("day/2013-01-06", "raw/date=2012-12-31")),
        ("day/{d:date}", "raw/date={d-1mo}", "2013-02-01..", None),
        ("day/{d:date}", "raw/date={d-1mo}", "2013-01-31..", ("day/2013-01-31", "raw/date=2012-12-31")),
        ("day/{d:date}", "raw/date={d.month.first_date..d-1}", "2013-01-01..", None),
        (
            "day/{d:date}",
            "raw/date={d.month.first_date..d-1}",
            "2012-12-31..",
            ("day/2012-12-31", "raw/date=2012-12-01"),
        ),
        ("month/{m:month}", "raw/date={m.dates}", "2013-01..", None),
        ("month/{m:month}", "raw/date={m.dates}", "2012-12..", ("month/2012-12", "raw/date=2012-12-01")),
        ("week/{w:week}", "raw/date={w.dates}", "2013-W02..", None),
        ("week/{w:week}", "raw/date={w.dates}", "2013-W01..", ("week/2013-W01", "raw/date=2012-12-31")),
        ("hour/{h:hour}", "raw/date={h.date}", "2013-01-01T00..", None),
        ("hour/{h:hour}", "raw/date={h.date}", "2012-12-31T23..", ("hour/2012-12-31T23", "raw/date=2012-12-31")),
        ("hour/{h:hour}", "raw/date={h-1d}", "2013-01-02T00..", ("hour/2013-01-02T00", "raw/date=2013-01-01T00")),
        ("year/{y:year}", "raw/date={y.first_date}", "2013..", None),
        ("any/{x}", "raw/date=2013-01-01", "", None),
        ("any/{x}", "raw/date=2012-12-31", "", ("any/x", "raw/date=2012-12-31")),
        ("any/{x}", "raw/{x}", "", ("any/x", "raw/x")),
        ("any/{x:/date=2013-0[1-9]-1[0-9]/}", "raw/{x}", "", None),
    ],
)
def test_the_bounds_of_a_producer(output: str, template: str, bounds: str, example: tuple[str, str] | None) -> None:
    field = output.partition("{")[2].partition(":")[0]
    job = declared("job", output, template, bounds={field: bounds} if bounds else None)

    assert missing(job, raw(SINCE_2013)) == example


@pytest.mark.parametrize(
    ("template", "bounds", "output", "fault"),
    [
        ("raw/date={d-1}", "", "day/0001-01-01", "a date before the year 1"),
        ("raw/date={d-1}", "..2013-01-01", "day/0001-01-01", "a date before the year 1"),
        ("raw/date={d+1mo}", "2013-01-01..", "day/9999-12-31", "a month after the year 9999"),
        ("raw/date={d-2000y}", "2000-01-01..", "day/2000-01-01", "before the year 1"),
    ],
)
def test_values_beyond_the_calendar_are_counter_examples(template: str, bounds: str, output: str, fault: str) -> None:
    job = declared("job", "day/{d:date}", template, bounds={"d": bounds} if bounds else None)
    found = coverage(graph(job, raw())).missing

    assert [(example.output, example.needed) for example in found] == [(output, "")]
    assert fault.split()[-3:] == str(found[0]).split("yields ")[1].split(";")[0].split()[-3:]
    assert "`bounds` of the field 'd'" in str(found[0])


def test_a_list_that_the_end_of_the_calendar_cuts_off_is_no_counter_example() -> None:
    week = declared("week", "week/{w:week}", "raw/date={w.dates}")

    assert missing(week, raw()) is None


def test_too_many_values_are_a_counter_example() -> None:
    job = declared("job", "all/{n:int}", "raw/{n..n+1000000}", bounds={"n": "1.."})

    assert missing(job, declared("raw", "raw/{n:int}")) == ("all/1", "")


def test_a_balance_needs_bounds_and_an_optional_yesterday() -> None:
    output, needed = "balance/date={date:date}", "balance/date={date-1}"
    transactions = "raw/date={date}"

    assert missing(declared("balance", output, transactions, optional=[needed], bounds=SINCE_2013), raw()) is None
    assert missing(declared("balance", output, transactions, optional=[needed]), raw()) == (
        "balance/date=0001-01-01",
        "",
    )
    assert missing(declared("balance", output, transactions, needed, bounds=SINCE_2013), raw()) == (
        "balance/date=2013-01-01",
        "balance/date=2012-12-31",
    )


def test_producers_together_may_produce_what_none_produces_alone() -> None:
    job = declared("job", "day/{date:date}", "raw/date={date}", bounds={"date": "2012-12-01.."})
    old = configured("old", "raw/date={date:/(0...|1...|200.|201[0-2])-.*/}")
    new = configured("new", "raw/date={date:/(201[3-9]|20[2-9].|2[1-9]..|[3-9]...)-.*/}")

    assert missing(job, old, new) is None
    assert missing(job, new) == ("day/2012-12-01", "raw/date=2012-12-01")


def test_cells_of_two_fields_are_compared_together() -> None:
    job = declared("job", "day/{d:date}", "raw/{d.month}/{d}")
    bounded = {"m": "2013-01..", "d": "2013-01-01.."}
    new = declared("new", "raw/{m:month}/{d:date}", bounds=bounded)

    assert missing(job, new) == ("day/2012-12-31", "raw/2012-12/2012-12-31")
    later = declared("job", "day/{d:date}", "raw/{d.month}/{d}", bounds={"d": "2013-01-01.."})
    assert missing(later, new) is None


@pytest.mark.parametrize(
    ("output", "template", "producers", "example"),
    [
        ("a/{name}", "b/{name}", ["b/{x}"], None),
        ("a/{name}", "b/{name}", ["b/{x:/[a-z]+/}"], ("a/1", "b/1")),
        ("a/{name:/[a-c]+/}", "b/{name}", ["b/{x:/[a-z]+/}"], None),
        ("a/{name:/[ab]{2}/}", "b/{name}", ["b/{x:/a.*/}", "b/{x:/b+/}"], ("a/ba", "b/ba")),
        ("a/{name}", "b/{name}/x", ["b/{x}"], ("a/x", "b/x/x")),
        ("a/{name}", "b/x{name}", ["b/{x}"], None),
        ("a/{name}/{n:int}", "b/{n}-{name}", ["b/{n:int}-{name}"], None),
        ("a/{n:int}", "b/{n}", ["b/{n:/-?[0-9]+/}"], None),
        ("a/{n:int}", "b/{n}", ["b/{n:/-?[1-9][0-9]*/}"], ("a/0", "b/0")),
        ("a/{d:date}", "b/{d.year}", ["b/{n:int}"], ("a/0111-01-01", "b/0111")),
        ("a/{m:month}", "b/{m}-01", ["b/{d:date}"], None),
        ("a/{x:/.*/}", "b/{x}", ["b/{x:/.*/}"], None),
        ("a/{x}", "b/{{{x}}}", ["b/{x:/\\{.*\\}/}"], None),
    ],
)
def test_texts_are_compared_as_languages(
    output: str, template: str, producers: list[str], example: tuple[str, str] | None
) -> None:
    jobs = [configured(f"producer{number}", pattern) for number, pattern in enumerate(producers)]

    assert missing(declared("job", output, template), *jobs) == example


def test_templates_that_automata_cannot_compare_are_undecided_and_not_proven() -> None:
    twice = declared("job", "a/{name}", "b/{name}-{name}")
    found = coverage(graph(twice, configured("b", "b/{x:/[^b]+|b-b/}")))

    assert not found.missing
    (undecided,) = found.undecided
    assert undecided.subject == "//:job, 'b/{name}-{name}'"
    assert undecided.samples
    assert "automata" in undecided.reason


def test_hours_that_months_move_out_of_order() -> None:
    # The first hours of 30 March move before those of 29 March, to 28 February.
    job = declared("job", "a/{h:hour}", "b/{h-1mo}", bounds={"h": "2013-03-29T05.."})
    example = missing(job, declared("b", "b/{h:hour}", bounds={"h": "2013-02-28T05.."}))

    assert example is not None
    assert example[0].startswith("a/2013-03-3")
    assert missing(job, declared("b", "b/{h:hour}", bounds={"h": "2013-02-28T00.."})) is None


def test_few_refs_are_looked_at_one_by_one_where_automata_do_not_decide() -> None:
    months = {"m": "2013-01..2014-12"}
    job = declared("job", "month/{m:month}", "raw/{m.first_date}", bounds=months)

    assert missing(job, configured("raw", "raw/{x:/.*-01/}")) is None
    assert missing(job, configured("raw", "raw/{x:/.*-0[2-9]-01/}")) == ("month/2013-01", "raw/2013-01-01")


def test_optional_inputs_and_query_inputs_need_no_producer() -> None:
    assert missing(declared("job", "a/{x}", optional=["b/{x}"])) is None


def test_an_input_that_is_also_optional_needs_a_producer() -> None:
    assert missing(declared("job", "a/{x}", "b/{x}", optional=["b/{x}"])) == ("a/x", "b/x")


def test_the_lookup_may_know_producers_that_patterns_do_not_show() -> None:
    job = declared("job", "a/{d:date}", "b/{d}", "b/{d-1}")
    found = coverage(graph(job, lookup="lookup"))

    assert [(example.template, example.needed) for example in found.missing] == [("b/{d-1}", "")]


def test_a_counter_example_names_everything() -> None:
    job = declared("job", "day/{d:date}", "raw/date={d}", bounds={"d": "2012-12-31.."})
    (example,) = coverage(graph(job, raw(SINCE_2013))).missing

    assert str(example) == (
        "//:job: 'day/2012-12-31' needs 'raw/date=2012-12-31', by 'raw/date={d}', and no job produces it; "
        "date = 2012-12-31 is outside the bounds '2013-01-01..' of the pattern 'raw/date={date:date}'"
    )
    assert isinstance(example, MissingInput)
