"""Edges between the jobs of a graph, from the templates of their inputs."""

from __future__ import annotations

from typing import Any

import pytest

from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.graph.declared.template_patterns import template_pattern
from databuild.graph.declared.templates import parse_template
from databuild.graph.job_edges import graph_view, recorded_edges

REPORT = "report/month={month:month}"


def job(name: str, *outputs: str, config: bool = False, **attributes: Any) -> Job:
    declaration = None if config else Declaration(**attributes)
    return Job(label=f"//:{name}", executable=name, outputs=outputs, declaration=declaration)


def catalog(*jobs: Job) -> JobCatalog:
    return JobCatalog(graph_label="//:g", jobs={job.label: job for job in jobs})


def edges(*jobs: Job) -> list[tuple[str, str, str, str]]:
    """Returns the edges as producer or external input, job, kind and mapping."""
    return [
        (edge.upstream_job_label or edge.external_input, edge.job_label, edge.kind, edge.mapping)
        for edge in graph_view(catalog(*jobs)).edges
    ]


def test_an_input_leads_from_its_producer_with_its_expressions() -> None:
    daily = job("daily", "daily/date={date:date}")

    assert edges(daily, job("report", REPORT, inputs=("daily/date={month.dates}",))) == [
        ("//:daily", "//:report", "INPUT", "{month.dates}")
    ]
    assert edges(daily, job("report", "report/{date:date}/{name}", inputs=("daily/date={date-1}",))) == [
        ("//:daily", "//:report", "INPUT", "{date-1}")
    ]


def test_kinds_of_inputs_are_kept_in_the_order_of_the_attributes() -> None:
    balance = job(
        "balance",
        "balance/{date:date}",
        inputs=("moves/{date}",),
        optional_inputs=("balance/{date-1}",),
        query_inputs=("moves/{date-7}", "votes/{date}/{*}"),
    )

    assert edges(balance, job("moves", "moves/{date:date}")) == [
        ("//:moves", "//:balance", "INPUT", "{date}"),
        ("//:balance", "//:balance", "OPTIONAL", "{date-1}"),
        ("//:moves", "//:balance", "QUERY", "{date-7}"),
        ("votes/{date}/{*}", "//:balance", "QUERY", "{date}, {*}"),
    ]


def test_the_type_of_the_values_decides_which_job_produces_them() -> None:
    by_month = job("by_month", "sum/{month:month}")
    by_date = job("by_date", "sum/{date:date}")

    found = edges(by_month, by_date, job("out", "out/{date:date}", inputs=("sum/{date.month}", "sum/{date}")))

    assert found == [
        ("//:by_month", "//:out", "INPUT", "{date.month}"),
        ("//:by_date", "//:out", "INPUT", "{date}"),
    ]


def test_producers_are_found_by_shorter_and_longer_beginnings() -> None:
    producers = (
        job("any", "{dataset:/[a-m]+/}/{n:int}"),
        job("nested", "data/x={x:date}/{n:int}"),
        job("flat", "data/{n:int}"),
        job("other", "datum/{n:int}"),
    )

    def found(template: str) -> list[str]:
        fields = "out/{d:date}/{n:int}/{s}"
        return [producer for producer, *_ in edges(*producers, job("out", fields, query_inputs=(template,)))]

    assert found("data/{n}") == ["//:flat"]
    assert found("day/{n}") == ["day/{n}"]
    assert found("dali/{n}") == ["//:any"]
    assert found("{s}/{n}") == ["//:any", "//:flat", "//:other"]
    assert found("data/x={d}/{n}") == ["//:nested"]
    assert found("data/{s}/{n}") == ["//:nested"]


def test_a_template_may_have_several_producers_and_all_are_drawn() -> None:
    names = (job("a", "n/{x:/a+/}"), job("b", "n/{x:/b+/}"), job("c", "n/{x:/c+/}"))

    found = edges(*names, job("out", "out/{x:/[ab]+/}", inputs=("n/{x}",)))

    assert [producer for producer, *_ in found] == ["//:a", "//:b"]


def test_a_template_without_expressions_is_its_own_mapping() -> None:
    found = edges(job("parameters", "parameters/{name}"), job("out", "out/{d:date}", inputs=("parameters/version=3",)))

    assert found == [("//:parameters", "//:out", "INPUT", "parameters/version=3")]


def test_external_inputs_with_values_of_equal_types_are_one_node() -> None:
    view = graph_view(
        catalog(
            job("one", "one/{date:date}", query_inputs=("raw/{date}",)),
            job("two", "two/{month:month}", query_inputs=("raw/{month.dates}",)),
            job("three", "three/{hour:hour}", query_inputs=("raw/{hour}",)),
            job("four", "four/{name}/{other}", query_inputs=("raw/x={name}", "raw/x={other}")),
        )
    )

    assert view.external_inputs == ("raw/x={name}", "raw/x={other}", "raw/{date}", "raw/{hour}")


def test_a_job_with_config_has_no_declared_edges() -> None:
    view = graph_view(catalog(job("old", "old/{n}", config=True), job("new", "new/{n}", inputs=("old/{n}",))))

    assert [(job.job_label, job.declared, job.counts) for job in view.jobs] == [
        ("//:new", True, None),
        ("//:old", False, None),
    ]
    assert [edge.job_label for edge in view.edges] == ["//:new"]


def test_recorded_inputs_lead_from_their_producers_once() -> None:
    jobs = catalog(job("a", "a/{n:int}", config=True), job("b", "b/{n:int}"), job("old", "old/{n}", config=True))

    found = recorded_edges(jobs, "//:old", ["b/2", "a/1", "a/2", "nobody/1", "a/x"])

    assert [(edge.upstream_job_label, edge.kind, edge.label) for edge in found] == [
        ("//:a", "RECORDED", "recorded"),
        ("//:b", "RECORDED", "recorded"),
    ]


@pytest.mark.parametrize(
    ("text", "refs", "others"),
    [
        ("a/{d}", ["a/2013-01-31"], ["a/2013-01", "a/2013-02-30", "b/2013-01-31"]),
        ("a/{d.month}/{n}", ["a/2013-01/-3"], ["a/2013-01-31/3", "a/2013-01/x"]),
        ("{{a}}/{s}", ["{a}/x"], ["a/x", "{a}/x/y"]),
        ("a/{r}", ["a/x/y"], ["a/z"]),
    ],
)
def test_a_template_is_a_pattern_of_what_it_may_yield(text: str, refs: list[str], others: list[str]) -> None:
    pattern = template_pattern(parse_template(text, {"d": "date", "n": "int", "s": "str", "r": r"/[xy\/]+/"})).pattern

    assert [ref for ref in refs + others if pattern.match(ref) is not None] == refs


def test_an_input_that_ends_in_any_value_is_one_more_segment() -> None:
    pattern = template_pattern(parse_template("votes/{d}/x=", {"d": "date"}), any_value=True).pattern

    assert pattern.match("votes/2013-01-31/x=7") is not None
    assert pattern.match("votes/2013-01-31/x=7/y") is None
