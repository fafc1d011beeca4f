"""Tests of SQL jobs: passing cases, the text of differences, and the update of the expected file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.sql.database import connect
from databuild.sql.errors import SqlError
from databuild.sql.query import to_json
from databuild.sql.testing.case import Case, run_case
from databuild.sql.testing.run_test import main
from databuild.sql.testing.table import Table, differences, read_expected, to_csv
from tests.support.sql import make_query

SQL = """
SELECT getvariable('month') AS month, carrier, round(avg(delay), 2) AS delay FROM daily GROUP BY ALL ORDER BY delay
"""
DATABASE = connect(1, "200MB")
DELAYS = "carrier,delay\nAA,10\nAA,20\nUA,5\n"


def case_of(tmp_path: Path, expected: str, delays: str = DELAYS, **attributes: Any) -> Case:
    """Writes the files of a case."""
    (tmp_path / "delays.csv").write_text(delays)
    (tmp_path / "expected.csv").write_text(expected)
    fields: dict[str, Any] = {
        "output": "report/month=2013-01",
        "inputs": {"daily": [str(tmp_path / "delays.csv")]},
        "expected": str(tmp_path / "expected.csv"),
        "ordered": False,
        "types": {},
        "failing_checks": (),
    }
    return Case(**{**fields, **attributes})


def faults_of(
    tmp_path: Path, expected: str, sql: str = SQL, *, checks: Mapping[str, str] | None = None, **attributes: Any
) -> Sequence[str]:
    return run_case(make_query(sql, checks=checks or {}), case_of(tmp_path, expected, **attributes)).faults


@pytest.mark.parametrize("number", ["15", "15.0", "1.5e1"])
def test_equal_values_pass_in_any_spelling_and_order(tmp_path: Path, number: str) -> None:
    assert faults_of(tmp_path, f"month,carrier,delay\n2013-01-01,AA,{number}\n2013-01-01,UA,5\n") == []


def test_a_difference_shows_both_rows(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "month,carrier,delay\n2013-01-01,AA,16\n2013-01-01,UA,5\n")

    (fault,) = faults
    assert fault.splitlines() == [
        "the result differs in rows (- expected, + result):",
        "  month,carrier,delay",
        "- 2013-01-01,AA,16.0",
        "+ 2013-01-01,AA,15.0",
    ]


def test_the_number_of_equal_rows_counts(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "x\n1\n1\n2\n", "SELECT unnest([1, 2, 2]) AS x")

    assert fault.splitlines()[2:] == ["- 1", "+ 2"]


def test_the_order_of_rows_counts_only_on_request(tmp_path: Path) -> None:
    sql = "SELECT unnest([1, 2, 3]) AS x"

    assert faults_of(tmp_path, "x\n3\n2\n1\n", sql) == []
    (fault,) = faults_of(tmp_path, "x\n2\n1\n3\n", sql, ordered=True)
    assert fault.startswith("the result differs in rows or their order")
    assert faults_of(tmp_path, "x\n1\n2\n3\n", sql, ordered=True) == []


def test_null_and_an_empty_text_differ(tmp_path: Path) -> None:
    sql = "SELECT unnest([NULL, '', 'NULL']) AS x, 1 AS y"

    assert faults_of(tmp_path, 'x,y\n,1\n"",1\nNULL,1\n', sql) == []
    (fault,) = faults_of(tmp_path, 'x,y\n"",1\n"",1\nNULL,1\n', sql)
    assert fault.splitlines()[2:] == ['- "",1', "+ ,1"]


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "x\n", "SELECT range AS x FROM range(100)")

    assert fault.splitlines()[-1] == "... and 50 more lines"


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ("month,delay,carrier\n", r"has the columns month, delay, carrier, but the result has month, carrier, delay\."),
        (
            "month,carrier,delay\n2013-01-01,AA,fast\n",
            r"of another type.* month DATE, carrier VARCHAR, delay DOUBLE",
        ),
    ],
)
def test_an_expected_file_of_another_form_is_a_fault(tmp_path: Path, expected: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, expected)

    assert re.search(fault, found)


def test_types_are_compared_on_request(tmp_path: Path) -> None:
    expected = "month,carrier,delay\n2013-01-01,AA,15\n2013-01-01,UA,5\n"

    assert faults_of(tmp_path, expected, types={"delay": "double", "month": "DATE"}) == []
    assert faults_of(tmp_path, expected, types={"delay": "BIGINT", "mean": "DOUBLE"}) == [
        "the column delay has the type DOUBLE, but BIGINT is expected",
        "the result has no column mean, which `types` has",
    ]


def test_checks_must_pass_except_those_that_must_fail(tmp_path: Path) -> None:
    expected = "month,carrier,delay\n2013-01-01,AA,15\n2013-01-01,UA,5\n"
    checks = {"few": "SELECT count(*) < 2 FROM result", "some": "SELECT count(*) > 0 FROM result"}

    assert faults_of(tmp_path, expected, checks=checks) == ["the check few fails: SELECT count(*) < 2 FROM result"]
    assert faults_of(tmp_path, expected, checks=checks, failing_checks=["few"]) == []
    assert faults_of(tmp_path, expected, checks=checks, failing_checks=["few", "some", "other"]) == [
        "the check some passes, but failing_checks has it",
        "failing_checks has other, which is not a check of the job",
    ]


def test_an_output_of_another_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SqlError, match=r"the output 'report/month=2013-13' is not one of the job"):
        faults_of(tmp_path, "x\n", output="report/month=2013-13")


def test_files_of_the_job_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "airlines.csv").write_text("name\nAmerican\n")
    query = make_query("SELECT name FROM daily", datasets={}, sources={"daily": [str(tmp_path / "airlines.csv")]})

    own = run_case(query, case_of(tmp_path, "name\nAmerican\n", inputs={}))
    replaced = run_case(query, case_of(tmp_path, "name\nUnited\n", delays="name\nUnited\n"))

    assert (own.faults, replaced.faults) == ([], [])


values = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters=",\"'\n"), max_size=5)


@given(st.lists(st.tuples(values, values), max_size=5), st.booleans())
@settings(deadline=None)
def test_a_table_is_the_same_after_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, str | None]], ordered: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "table.csv"
    table = Table(["a", "b,c"], ["VARCHAR", "VARCHAR"], rows)
    path.write_text(to_csv(table, ordered=ordered), encoding="utf-8", newline="")

    again = read_expected(DATABASE, str(path), table)

    assert differences(again, table, ordered=ordered) == []


class Program:
    """The program of a test, with one folder as its runfiles and its workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "query.json").write_text(to_json(make_query(SQL)))
        (folder / "delays.csv").write_text(DELAYS)
        (folder / "expected.csv").write_text("month,carrier,delay\n")
        test = {
            "expected": "expected.csv",
            "expected_source": "expected.csv",
            "failing_checks": [],
            "inputs": {"daily": ["delays.csv"]},
            "label": "//pkg:report_test",
            "ordered": True,
            "output": "report/month=2013-01",
            "query": "query.json",
            "types": {},
        }
        (folder / "test.json").write_text(json.dumps(test))

    def run(self, *arguments: str, **environment: str) -> int:
        return main(arguments, {"RUNFILES_DIR": str(self.folder), "DATABUILD_SQL_TEST": "test.json", **environment})


def test_a_failed_test_shows_the_difference_and_how_to_accept_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Program(tmp_path).run() == 1

    printed = capsys.readouterr().err.splitlines()
    assert "+ 2013-01-01,AA,15.0" in printed
    assert printed[-1].endswith("bazel run //pkg:report_test -- --update")


def test_an_update_writes_the_result_and_the_test_passes_from_then_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Program(tmp_path)

    assert program.run("--update", BUILD_WORKSPACE_DIRECTORY=str(tmp_path)) == 0
    assert (tmp_path / "expected.csv").read_text() == "month,carrier,delay\n2013-01-01,UA,5.0\n2013-01-01,AA,15.0\n"
    assert program.run() == 0
    assert f"updated {tmp_path / 'expected.csv'}" in capsys.readouterr().err


def test_an_update_makes_an_expected_file_of_another_form_right(tmp_path: Path) -> None:
    program = Program(tmp_path)
    (tmp_path / "expected.csv").write_text("")

    assert program.run() == 1
    assert program.run("--update", BUILD_WORKSPACE_DIRECTORY=str(tmp_path)) == 0
    assert program.run() == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--update"], "which only bazel run tells: bazel run //pkg:report_test -- --update"),
        (["--help"], "unknown arguments '--help'; the only one is --update"),
    ],
)
def test_a_misuse_says_what_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
) -> None:
    assert Program(tmp_path).run(*arguments) == 2
    assert fault in capsys.readouterr().err
    assert (tmp_path / "expected.csv").read_text() == "month,carrier,delay\n"
