"""SQL is checked before it runs: one SELECT, of known views."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from databuild.sql.errors import SqlError
from databuild.sql.statements import check_tables, check_variables, parse_select, tables


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("SELECT 1", "SELECT 1"),
        ("-- first\nSELECT 1 ; -- last; really\n", "-- first\nSELECT 1"),
        ("SELECT 'ä;ß' /* ; */ ;;\n;", "SELECT 'ä;ß' /* ; */"),
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM a\n", "WITH a AS (SELECT 1 AS x) SELECT * FROM a"),
        ("FROM daily", "FROM daily"),
        ("PIVOT daily ON x IN (1, 2) USING sum(y)", "PIVOT daily ON x IN (1, 2) USING sum(y)"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(SELECT 1) UNION ALL (SELECT 2)"),
    ],
)
def test_a_select_may_have_comments_semicolons_and_with_clauses(
    database: duckdb.DuckDBPyConnection, text: str, statement: str
) -> None:
    parsed = parse_select(text, "x.sql", database)

    assert parsed.text.rstrip() == statement
    database.extract_statements(f"COPY (\n{parsed.text}\n) TO 'x.parquet'")  # it can be part of another statement


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "x.sql has no statement; write one SELECT"),
        ("-- nothing", "x.sql has no statement"),
        ("SELECT 1; SELECT 2", "x.sql has 2 statements; write one SELECT"),
        ("CREATE TABLE a (x INT)", "x.sql has a statement of the kind CREATE; write one SELECT"),
        ("DELETE FROM daily", "kind DELETE"),
        ("COPY daily TO 'x.csv'", "kind COPY"),
        ("SET VARIABLE x = 1; SELECT 1", "2 statements"),
        ("SELECT ?", "x.sql has the parameter '1'"),
        ("SELECT $month", "x.sql has the parameter 'month', which has no value. .* write getvariable"),
        ("PIVOT daily ON x USING sum(y)", r"PIVOT \.\.\. ON column IN"),
        ("SELECT 1,\n  2 3 4", "x.sql:2: Parser Error"),
    ],
)
def test_anything_else_is_refused(database: duckdb.DuckDBPyConnection, text: str, fault: str) -> None:
    with pytest.raises(SqlError, match=fault):
        parse_select(text, "x.sql", database)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM daily JOIN Airlines USING (code)",
        "WITH top AS (SELECT * FROM daily), more AS (FROM top) SELECT * FROM more, top",
        "WITH RECURSIVE up AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM up WHERE n < 3) FROM up",
        "SELECT (SELECT count(*) FROM airlines) FROM daily WHERE x IN (FROM daily)",
        "FROM read_csv('other.csv')",
        "FROM 'other.csv'",
        "FROM range(3), unnest([1, 2]) AS numbers(n)",
        "FROM information_schema.tables",
        "FROM duckdb_tables",
    ],
)
def test_views_with_clauses_functions_files_and_tables_of_duckdb_are_known(
    database: duckdb.DuckDBPyConnection, text: str
) -> None:
    check_tables(parse_select(text, "x.sql", database), ["daily", "airlines"], database)


@pytest.mark.parametrize(
    "text",
    ["SELECT 1,\n 2 FROM dailly", "WITH a AS (FROM daily)\nFROM a, dailly", "FROM daily\nWHERE x IN (FROM dailly)"],
)
def test_an_unknown_table_is_refused_with_its_line_and_the_nearest_view(
    database: duckdb.DuckDBPyConnection, text: str
) -> None:
    with pytest.raises(
        SqlError, match=r"x\.sql:2: there is no view 'dailly'\. Did you mean daily\? The views are: airlines, daily\."
    ):
        check_tables(parse_select(text, "x.sql", database), ["daily", "airlines"], database)


def test_fields_of_the_output_are_known_variables(database: duckdb.DuckDBPyConnection) -> None:
    text = "SELECT getvariable('month'), getvariable('Month'), getvariable(x), 'getvariable(''day'')' FROM daily"

    check_variables(parse_select(text, "x.sql", database), ["month"], database)


@pytest.mark.parametrize("text", ["SELECT 1,\n GetVariable('day')", "WITH a AS (SELECT\ngetvariable('day')) FROM a"])
def test_an_unknown_variable_is_refused_with_its_line(database: duckdb.DuckDBPyConnection, text: str) -> None:
    with pytest.raises(
        SqlError, match=r"x\.sql:2: there is no variable 'day'\. .* the fields of the output: month, year$"
    ):
        check_variables(parse_select(text, "x.sql", database), ["month", "year"], database)


def test_tables_are_those_that_no_with_clause_defines(database: duckdb.DuckDBPyConnection) -> None:
    statement = parse_select("WITH a AS (FROM Daily) FROM a JOIN airlines USING (x), 'x.csv'", "x.sql", database)

    assert tables(statement, database) == {"daily", "airlines"}
