"""Declared dependents of partitions, of small graphs and of generated ones."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.graph.dependents import Dependents
from databuild.graph.field_types import FIELD_TYPES
from databuild.graph.regions import Runs
from databuild.model.views import DeclaredDependents
from tests.support.declared_graphs import Enumeration, Node, configured, declared, graph
from tests.support.drawn_graphs import job_graphs


def dependents(catalog: JobCatalog, *refs: str, transitive: bool = True, limit: int = 100) -> DeclaredDependents:
    return Dependents(catalog).of(refs, transitive=transitive, limit=limit)


def names(found: DeclaredDependents) -> list[tuple[str, int]]:
    return [(row.partitions, row.distance) for row in found.dependents]


DAILY = declared("daily", "daily/date={date:date}")
MONTHLY = declared("monthly", "monthly/month={month:month}", "daily/date={month.dates}")
WEEK = declared("week", "week/{region}/date={date:date}", "daily/date={date-6..date}")
BALANCE = declared("balance", "balance/date={date:date}", "daily/date={date}", optional=["balance/date={date-1}"])


def test_an_input_leads_to_the_outputs_whose_template_yields_it() -> None:
    found = dependents(graph(DAILY, MONTHLY), "daily/date=2013-02-03")

    assert found.complete
    assert found.undeclared_jobs == ()
    (row,) = found.dependents
    assert (row.partitions, row.distance, row.job_label) == ("monthly/month=2013-02", 1, "//:monthly")
    assert (row.kind, row.input) == ("INPUT", "daily/date={month.dates}")


def test_fields_that_the_template_does_not_mention_stay_open_and_runs_are_ranges() -> None:
    found = dependents(graph(DAILY, WEEK), "daily/date=2013-02-03")

    assert names(found) == [("week/{region}/date=2013-02-03..2013-02-09", 1)]


def test_open_fields_stay_open_in_the_next_step() -> None:
    world = declared("world", "world/date={date:date}/{kind:/[ab]+/}", "week/all/date={date}")
    each = declared("each", "each/{region}/month={month:month}", "week/{region}/date={month.last_date}")
    found = dependents(graph(DAILY, WEEK, world, each), "daily/date=2013-01-30")

    assert names(found) == [
        ("week/{region}/date=2013-01-30..2013-02-05", 1),
        ("each/{region}/month=2013-01", 2),
        ("world/date=2013-01-30..2013-02-05/{kind:/[ab]+/}", 2),
    ]


def test_a_running_balance_has_one_endless_range() -> None:
    found = dependents(graph(DAILY, BALANCE), "daily/date=2013-01-02")

    assert found.complete
    assert names(found) == [("balance/date=2013-01-02..", 1)]


def test_bounds_end_a_running_balance() -> None:
    bounded = declared(
        "balance",
        "balance/date={date:date}",
        "daily/date={date}",
        optional=["balance/date={date-1}"],
        bounds={"date": "2013-01-01..2013-01-31"},
    )

    assert names(dependents(graph(DAILY, bounded), "daily/date=2013-01-30")) == [
        ("balance/date=2013-01-30..2013-01-31", 1)
    ]
    assert names(dependents(graph(DAILY, bounded), "daily/date=2013-02-01")) == []


def test_a_balance_from_the_last_day_backwards_begins_with_the_first_one() -> None:
    left = declared("left", "left/{n:int}", "day/{n}", optional=["left/{n+1}"])

    assert names(dependents(graph(declared("day", "day/{n:int}"), left), "day/7")) == [("left/..7", 1)]


def test_steps_that_leave_gaps_are_followed_up_to_the_limit() -> None:
    weekly = declared("weekly", "weekly/{date:date}", optional=["weekly/{date-1w}"])

    found = dependents(graph(weekly), "weekly/2013-01-01", limit=3)

    assert not found.complete
    assert names(found) == [("weekly/2013-01-08", 1), ("weekly/2013-01-15", 2), ("weekly/2013-01-22", 3)]


def test_one_step_is_one_step() -> None:
    found = dependents(graph(DAILY, BALANCE), "daily/date=2013-01-02", transitive=False)

    assert (names(found), found.complete) == ([("balance/date=2013-01-02", 1)], True)


def test_a_ref_that_no_job_produces_has_dependents_too_but_not_by_an_optional_input() -> None:
    needs = declared("needs", "needs/{name}", "outside/{name}")
    may_need = declared("may_need", "may_need/{name}", optional=["outside/{name}"])

    assert names(dependents(graph(needs, may_need), "outside/x")) == [("needs/x", 1)]


def test_query_inputs_count_also_those_that_end_in_any_value() -> None:
    job = Job(
        label="//:report",
        executable="report",
        outputs=("report/{date:date}",),
        declaration=Declaration(query_inputs=("votes/{date}/{*}", "parameters/3")),
    )
    catalog = graph(job)

    assert names(dependents(catalog, "votes/2013-01-02/ann")) == [("report/2013-01-02", 1)]
    assert names(dependents(catalog, "votes/2013-01-02/ann/x")) == []
    assert names(dependents(catalog, "parameters/3")) == [("report/{date:date}", 1)]
    assert {row.kind for row in dependents(catalog, "parameters/3").dependents} == {"QUERY"}
    assert dependents(catalog, "parameters/3").dependents[0].input == "parameters/3"
    assert dependents(catalog, "votes/2013-01-02/ann").dependents[0].input == "votes/{date}/{*}"


def test_a_ref_that_can_be_divided_in_several_ways_has_the_dependents_of_each() -> None:
    catalog = graph(declared("pair", "pair/{a}/{b}", "both/{a}_{b}"))

    assert names(dependents(catalog, "both/x_y_z")) == [("pair/x/y_z", 1), ("pair/x_y/z", 1)]


def test_a_field_that_occurs_twice_has_to_have_one_value() -> None:
    catalog = graph(declared("same", "same/{n:int}", "both/{n}/{n-1}"))

    assert names(dependents(catalog, "both/3/2")) == [("same/3", 1)]
    assert names(dependents(catalog, "both/3/1")) == []


def test_all_outputs_of_a_job_are_dependents() -> None:
    catalog = graph(DAILY, declared("two", ["one/{date:date}", "two/{date:date}"], "daily/date={date}"))

    assert names(dependents(catalog, "daily/date=2013-01-02")) == [("one/2013-01-02", 1), ("two/2013-01-02", 1)]


def test_jobs_with_config_are_named_since_their_inputs_are_not_known() -> None:
    found = dependents(graph(DAILY, configured("old", "old/{name}"), MONTHLY), "old/x")

    assert (found.dependents, found.undeclared_jobs) == ((), ("//:old",))


def test_thousands_of_given_partitions_are_one_run() -> None:
    numbers = declared("next", "next/{n:int}", "number/{n-1}")

    found = dependents(graph(numbers), *(f"number/{n}" for n in range(5000)), limit=1)

    assert (names(found), found.complete) == ([("next/1..5000", 1)], True)


def test_jobs_that_follow_each_other_from_day_to_day_are_one_range_each_up_to_the_limit() -> None:
    evening = declared("evening", "evening/{date:date}", optional=["morning/{date}"])
    morning = declared("morning", "morning/{date:date}", optional=["evening/{date-1}"])

    found = dependents(graph(evening, morning), "morning/2013-01-01", limit=6)

    assert not found.complete
    assert names(found) == [("evening/2013-01-01..2013-01-03", 1), ("morning/2013-01-02..2013-01-04", 2)]


NUMBERS = st.integers(-9, 9)


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 5))), NUMBERS, st.integers(0, 9))
@settings(deadline=None)
def test_runs_are_the_numbers_that_were_added(added: list[tuple[int, int]], first: int, length: int) -> None:
    runs = Runs()
    numbers: set[int] = set()
    for start, size in added:
        runs.add(start, start + size)
        numbers.update(range(start, start + size + 1))
    asked = set(range(first, first + length + 1))

    assert [n for start, last in runs for n in range(start, last + 1)] == sorted(numbers)
    assert all(first_[1] + 1 < second[0] for first_, second in itertools.pairwise(runs))
    missing = [n for start, last in runs.missing(first, first + length) for n in range(start, last + 1)]
    assert missing == sorted(asked - numbers)
    assert runs.adjoins(first, first + length) == bool(numbers & {first - 1, first + length + 1, *asked})


def expanded(catalog: JobCatalog, found: DeclaredDependents) -> set[Node]:
    """Returns each single output of the result; all fields of the jobs have both bounds."""
    return {node for row in found.dependents for node in _nodes(catalog, row.job_label, row.partitions)}


def _nodes(catalog: JobCatalog, label: str, partitions: str) -> Iterator[Node]:
    job = catalog.declared[label]
    columns = []
    for (name, kind), text in zip(job.fields.items(), partitions.split("/")[1:], strict=True):
        counting = FIELD_TYPES[kind].counting
        assert counting is not None
        first, _, last = text.partition("..")
        ends = [counting.parse(end) for end in (first, last or first)]
        assert None not in ends, (name, text)
        columns.append(counting.values(ends[0] or 0, ends[1] or 0))
    for values in itertools.product(*columns):
        yield label, tuple(sorted(zip(job.fields, values, strict=True)))


def true_dependents(inputs: Mapping[Node, Sequence[Node]], starts: Collection[Node], *, transitive: bool) -> set[Node]:
    found: set[Node] = set()
    level = set(starts)
    while level:
        level = {output for output, needed in inputs.items() if level.intersection(needed)} - found
        found |= level
        if not transitive:
            break
    return found


@given(job_graphs(is_bounded=True), st.data(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_dependents_in_bounded_graphs_are_those_that_enumeration_finds(
    catalog: JobCatalog, data: st.DataObject, transitive: bool
) -> None:
    truth = Enumeration(catalog).inputs
    starts = data.draw(st.lists(st.sampled_from(list(truth)), min_size=1, max_size=4, unique=True))
    refs = [catalog.declared[label].outputs[0].ref(dict(fields)) for label, fields in starts]

    found = dependents(catalog, *refs, transitive=transitive, limit=10_000)

    assert found.complete
    wanted, named = true_dependents(truth, starts, transitive=transitive), expanded(catalog, found)
    assert wanted <= named
    if (len(starts) == 1 and not transitive) or not _may_be_empty(catalog):
        assert named == wanted


def _may_be_empty(catalog: JobCatalog) -> bool:
    """Returns True if a range ends before it begins for some value of its field."""
    texts = [
        text for job in catalog.jobs.values() if (d := job.declaration) for text in (*d.inputs, *d.optional_inputs)
    ]
    return any("+1.." in text or "first_date.." in text for text in texts)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_list_is_never_longer_than_its_limit(limit: int) -> None:
    catalog = graph(DAILY, *(declared(f"job{n}", f"job{n}/{{date:date}}", "daily/date={date}") for n in range(5)))

    found = dependents(catalog, "daily/date=2013-01-02", limit=limit)

    assert (len(found.dependents), found.complete) == (limit, False)
