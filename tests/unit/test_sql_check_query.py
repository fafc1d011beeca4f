"""The build action of a SQL job refuses queries that cannot run, and writes the file that the job reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from databuild.sql.check_query import main
from databuild.sql.errors import SqlError
from databuild.sql.query import from_json, to_json
from tests.support.sql import make_query

DESCRIPTION = {
    "checks": {"error": {"any": "SELECT true"}, "warning": {}},
    "columns": {},
    "data_root": "",
    "datasets": {"daily": "daily"},
    "default_data_root": "data",
    "fields": ["month"],
    "memory_limit": "200MB",
    "output": "report/month={month:month}",
    "select": "_main/pkg/report.sql",
    "sources": {"airlines": ["_main/pkg/airlines.csv"]},
    "threads": 1,
}


def run_action(tmp_path: Path, sql: bytes, **attributes: object) -> tuple[int, str]:
    """Runs the action, and returns its exit code and what it writes, empty if it writes nothing."""
    source, query = tmp_path / "report.sql", tmp_path / "query.json"
    source.write_bytes(sql)
    code = main([json.dumps({**DESCRIPTION, **attributes}), str(source), str(query)])
    return code, query.read_text() if query.exists() else ""


def test_the_query_has_what_the_rule_describes(tmp_path: Path) -> None:
    code, written = run_action(tmp_path, b"\xef\xbb\xbfSELECT x\r\nFROM daily, airlines;\r\n")

    query = from_json(written)
    assert code == 0
    assert query.select == ("_main/pkg/report.sql", "SELECT x\nFROM daily, airlines")
    assert query.select.name == "pkg/report.sql"
    assert query.views == ["daily", "airlines"]
    assert [(check.name, check.severity) for check in query.checks] == [("any", "error")]


def test_columns_keep_their_order(tmp_path: Path) -> None:
    _, written = run_action(tmp_path, b"SELECT 1", columns={"daily": [["z", "INTEGER"], ["a", "DECIMAL(18, 2)"]]})

    assert list(from_json(written).columns["daily"].items()) == [("z", "INTEGER"), ("a", "DECIMAL(18, 2)")]


def test_a_query_is_the_same_after_writing_and_reading() -> None:
    query = make_query(
        "SELECT 'ä' FROM daily",
        checks={"b": "SELECT true", "a": "SELECT false"},
        warning_checks={"c": "SELECT true"},
        columns={"daily": {"z": "INTEGER", "a": "DECIMAL(18, 2)"}},
    )

    again = from_json(to_json(query))

    assert again == query
    assert [check.name for check in again.checks] == ["b", "a", "c"]
    assert list(again.columns["daily"]) == ["z", "a"]


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (b"SELECT 1; DROP TABLE x", "pkg/report.sql has 2 statements"),
        (b"SELECT 1 FROM\ndaly", "pkg/report.sql:2: there is no view 'daly'. Did you mean daily?"),
        (b"SELECT 1,\ngetvariable('moth')", "pkg/report.sql:2: there is no variable 'moth'. The variables are"),
        (b"SELECT 1 FROM result", "pkg/report.sql:1: there is no view 'result'"),
        (b"SELECT '\xff'", "is not UTF-8"),
    ],
)
def test_a_wrong_query_fails_the_action(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sql: bytes, fault: str
) -> None:
    code, written = run_action(tmp_path, sql)

    assert (code, written) == (1, "")
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        (
            {"checks": {"error": {}, "warning": {"c": "SELECT 1 FROM nothing"}}},
            "the check c:1: there is no view 'nothing'",
        ),
        (
            {"checks": {"error": {"c": "DELETE FROM result"}, "warning": {}}},
            "the check c has a statement of the kind DELETE",
        ),
        (
            {"checks": {"error": {"c": "SELECT getvariable('x') > 1"}, "warning": {}}},
            "the check c:1: there is no variable 'x'. The variables are the fields of the output: month",
        ),
        (
            {"columns": {"daily": [["x", "NUMBR"]]}},
            "columns: daily.x has the type 'NUMBR', which DuckDB does not accept",
        ),
        (
            {"columns": {"daily": [["x", "INT), (1"]]}},
            "columns: daily.x has the type 'INT), (1', which is more than a type",
        ),
        ({"memory_limit": "lots"}, "memory_limit = 'lots'"),
        ({"sources": {"airlines": ["_main/pkg/airlines.xlsx"]}}, "airlines.xlsx' has no known format"),
    ],
)
def test_a_wrong_attribute_fails_the_action(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], attributes: dict[str, Any], fault: str
) -> None:
    code, written = run_action(tmp_path, b"SELECT x FROM daily", **attributes)

    assert (code, written) == (1, "")
    assert fault in capsys.readouterr().err


def test_a_check_may_read_the_result_and_all_views() -> None:
    make_query("SELECT x FROM daily", checks={"c": "SELECT count(*) > 0 FROM result, daily"})

    with pytest.raises(SqlError, match="no view 'other'"):
        make_query("SELECT x FROM daily", checks={"c": "SELECT count(*) > 0 FROM result, other"})
