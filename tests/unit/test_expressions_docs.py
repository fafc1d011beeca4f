"""Checks that the examples of docs/expressions.md are true."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from databuild.errors import InvalidPatternError
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.graph.declared.templates import parse_template
from databuild.graph.periods import UNITS

PAGE = Path("docs/expressions.md").read_text(encoding="utf-8")
TYPES = {name: name for name in UNITS} | {"n": "int", "name": "str", "code": "/[a-z]+/"}


def tables(*heading: str) -> list[list[str]]:
    """Returns the rows of all tables whose columns have these names."""
    title = "| " + " | ".join(heading) + " |\n"
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for table in PAGE.split(title)[1:]
        for line in table.split("\n\n")[0].splitlines()[1:]
    ]
    assert rows, heading
    return rows


def codes(cell: str) -> list[str]:
    """Returns the texts in backticks, and `...` where values are left out."""
    return [code or dots for code, dots in re.findall(r"`([^`]*)`|(?<= )(\.\.\.)", cell)]


def check_values(actual: list[str], cell: str) -> None:
    """Checks values against a cell such as "`1`, ..., `9` (9 values)"."""
    expected = codes(cell)
    count = re.search(r"\((\d+) values\)", cell)
    if count is None:
        assert actual == expected, cell
        assert bool(expected) is (cell != "none")
        return
    gap = expected.index("...")
    assert len(actual) == int(count[1])
    assert [*actual[:gap], "...", *actual[gap - len(expected) + 1 :]] == expected


EXAMPLES = [*tables("Expression", "Field", "Values"), *tables("Template", "Fields", "Values")]


@pytest.mark.parametrize(("template", "fields", "values"), EXAMPLES, ids=[" for ".join(row[:2]) for row in EXAMPLES])
def test_an_example_yields_its_values(template: str, fields: str, values: str) -> None:
    given = dict(field.split("=", 1) for field in codes(fields))
    (text,) = codes(template)

    check_values(parse_template(text, TYPES, formats=True).values(given), values)


def forms() -> list[str]:
    return [form for cell, _ in tables("Form", "Value") for form in codes(cell)]


@pytest.mark.parametrize("form", forms())
def test_a_form_is_valid(form: str) -> None:
    parse_template(form, TYPES, formats=True)


@pytest.mark.parametrize(("template", "message"), tables("Template", "Message"))
def test_a_mistake_has_its_message(template: str, message: str) -> None:
    (text,) = codes(template)
    types = {"date": "date"} if text == "{dat}" else TYPES
    with pytest.raises(InvalidPatternError) as caught:
        parse_template(text, types, formats=True)

    assert caught.value.fault == message


def job_of(block: str) -> tuple[str, Job]:
    """Returns a job that the page declares, and its label."""
    (call,) = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    attributes: dict[str, Any] = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    label, outputs = f"//:{attributes.pop('name')}", tuple(attributes.pop("outputs"))
    del attributes["binary"]
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in attributes.items()
    }
    declaration = Declaration(**values)
    return label, Job(label=label, executable="program", outputs=outputs, declaration=declaration)


def catalog() -> JobCatalog:
    jobs = [job_of(block) for block in re.findall(r"```starlark\n(.*?)```", PAGE, re.DOTALL)]
    return JobCatalog(graph_label="//:graph", jobs=dict(jobs))


@pytest.mark.parametrize("row", [*tables("Output", "Inputs"), *tables("Output", "Inputs", "Arguments")])
def test_a_job_of_the_page_has_its_inputs_and_arguments(row: list[str]) -> None:
    graph = catalog()
    graph.check()
    ((ref,), inputs, *args) = codes(row[0]), row[1], *row[2:]
    config = graph.declared[graph.owner(ref)].config(
        ref, lambda needed: not needed.startswith("balance/") or graph.find_owner(needed) is not None
    )

    check_values(list(config.materialize), inputs)
    if args:
        check_values(list(config.args), args[0])


def test_the_first_job_has_the_inputs_and_arguments_of_the_text() -> None:
    config = catalog().declared["//:carrier_report"].config("carrier_report/month=2013-02", lambda _: True)

    assert f"the job has {len(config.materialize)} inputs" in PAGE
    assert f"`{' '.join(config.args)}`" in PAGE


def test_the_open_range_of_the_page_has_its_length() -> None:
    ((bounds, request, count),) = re.findall(r"`bounds = (\{.*?\})`.*?\n`(\S+?\.\.)` has (\d+) partitions", PAGE)
    label, job = job_of(f'databuild_job(name="b", binary="b", outputs=["balance/date={{date:date}}"], bounds={bounds})')

    assert len(JobCatalog(graph_label="//:g", jobs={label: job}).expand([request])) == int(count)
