"""Declared jobs: the configurations that their templates yield, and the templates that are refused."""

from typing import Any

import pytest

from databuild.errors import InvalidPatternError, JobConfigurationError
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration, DeclaredJob
from databuild.graph.patterns import PartitionPattern
from databuild.model.job_graph import JobConfig

BALANCE = "balance/date={date:date}"


def declared(*outputs: str, **declaration: Any) -> DeclaredJob:
    patterns = [PartitionPattern(text) for text in outputs]
    return DeclaredJob("//:job", patterns, Declaration(**declaration))


def produces_all(_: str) -> bool:
    return True


def test_templates_yield_inputs_arguments_and_environment() -> None:
    job = declared(
        "report/{region}/month={month:month}",
        inputs=("daily/{region}/date={month.first_date..month.first_date+1}", "prices/month={month-1}"),
        query_inputs=("votes/month={month}",),
        args=("--month={month:%m.%Y}", "{{{region}}}"),
        env=(("FIRST", "{month.first_date}"),),
    )

    config = job.config("report/eu/month=2013-03", produces_all)

    assert config == JobConfig(
        outputs=("report/eu/month=2013-03",),
        materialize=("daily/eu/date=2013-03-01", "daily/eu/date=2013-03-02", "prices/month=2013-02"),
        query=("votes/month=2013-03",),
        args=("--month=03.2013", "{eu}"),
        env=(("FIRST", "2013-03-01"),),
    )


def test_an_input_that_two_templates_yield_is_one_input() -> None:
    job = declared(BALANCE, inputs=("raw/date={date-1..date}", "raw/date={date}"))

    config = job.config("balance/date=2013-01-02", produces_all)

    assert config.materialize == ("raw/date=2013-01-01", "raw/date=2013-01-02")


def test_optional_inputs_that_nothing_produces_are_left_out() -> None:
    job = declared(BALANCE, optional_inputs=("balance/date={date-2..date-1}",))

    config = job.config("balance/date=2013-01-02", lambda ref: ref >= "balance/date=2013-01-01")

    assert config.materialize == ("balance/date=2013-01-01",)


def test_any_value_becomes_a_prefix() -> None:
    job = declared(BALANCE, query_inputs=("votes/{date.month}/{*}", "raw/date={*}"))

    config = job.config("balance/date=2013-01-02", produces_all)

    assert config.query == ()
    assert config.query_prefixes == ("votes/2013-01/", "raw/date=")


def test_one_run_produces_a_ref_of_each_pattern() -> None:
    job = declared("good/date={date:date}", "bad/date={date:date}", args=("{date}",))

    config = job.config("bad/date=2013-01-02", produces_all)

    assert config == job.config("good/date=2013-01-02", produces_all)
    assert config.outputs == ("good/date=2013-01-02", "bad/date=2013-01-02")


def test_a_value_outside_the_calendar_names_job_ref_and_expression() -> None:
    job = declared(BALANCE, inputs=("balance/date={date-1}",))

    with pytest.raises(JobConfigurationError) as caught:
        job.config("balance/date=0001-01-01", produces_all)

    assert "//:job" in str(caught.value)
    assert "'balance/date=0001-01-01'" in str(caught.value)
    assert "'{date-1}': for date = 0001-01-01 it yields a date before the year 1" in str(caught.value)


@pytest.mark.parametrize(
    ("declaration", "fault"),
    [
        ({"inputs": ("raw/{day}",)}, "'{day}': 'day' is no field of `outputs`; the fields are: date"),
        ({"optional_inputs": ("raw/{date-1h}",)}, "a date cannot move by 'h'"),
        ({"query_inputs": ("raw/{*}/x",)}, "'{*}': it is no expression"),
        ({"args": ("{date.hours}",)}, "it yields many values where one is needed"),
        ({"env": (("DAYS", "{date-1..date}"),)}, "it yields many values where one is needed"),
        ({"inputs": ("raw/{date:%Y}",)}, "a format is allowed in `args` and `env` only"),
        ({"batch_by": "{date.hours}"}, "it yields many values"),
        ({"inputs": ("raw/{date",)}, "has no partner"),
    ],
)
def test_invalid_templates_are_refused(declaration: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidPatternError) as caught:
        declared(BALANCE, **declaration)

    assert fault in str(caught.value)


def test_outputs_with_different_fields_are_refused() -> None:
    with pytest.raises(InvalidPatternError, match="its fields differ from those of"):
        declared("a/{n:int}", "b/{n}")


@pytest.mark.parametrize(
    ("batch", "texts"),
    [
        ({"batch_by": "{date.month}"}, ("{date.month}", "{date.month:%m}", "{date.month-1}", "{date.month.last_date}")),
        ({"batch_by": "{date.month}/{name}"}, ("{name}-{date.month}",)),
        ({"batch_size": 31}, ("no field",)),
        ({"batch_size": 1}, ("{date}",)),
    ],
)
def test_a_batch_may_use_what_is_equal_for_all_of_its_outputs(batch: dict[str, Any], texts: tuple[str, ...]) -> None:
    declared("p/{name}/{date:date}", args=texts, env=(("TEXT", texts[0]),), **batch)


@pytest.mark.parametrize(
    ("batch", "text", "allowed"),
    [
        ({"batch_by": "{date.month}"}, "{date}", "{date.month}"),
        ({"batch_by": "{date-1}"}, "{date-1w}", "{date-1}"),
        ({"batch_by": "{date.month}", "batch_size": 7}, "{name}", "{date.month}"),
        ({"batch_size": 31}, "{date.month}", "no field"),
    ],
)
def test_a_batch_may_not_use_what_differs_between_its_outputs(batch: dict[str, Any], text: str, allowed: str) -> None:
    for attribute in ({"args": (text,)}, {"env": (("TEXT", text),)}):
        with pytest.raises(InvalidPatternError) as caught:
            declared("p/{name}/{date:date}", **attribute, **batch)

        assert f"may use what begins with {allowed}" in str(caught.value)


def test_the_catalog_names_the_job_of_an_invalid_template() -> None:
    job = Job(label="//:job", executable="x", outputs=(BALANCE,), declaration=Declaration(inputs=("raw/{day}",)))

    with pytest.raises(InvalidPatternError, match=r"^//:job: '{day}'"):
        JobCatalog(graph_label="//:g", jobs={"//:job": job}).check()


def test_the_program_of_a_declared_job_is_started_with_its_arguments_alone() -> None:
    assert Job(label="//:job", executable="x", declaration=Declaration()).command(["a"]) == ("x", "a")
    assert Job(label="//:job", executable="x").command(["a"]) == ("x", "exec", "a")
