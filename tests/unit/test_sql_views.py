"""Views over the files of inputs: formats, fields as columns, and declared columns."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from databuild.sql.database import connect
from databuild.sql.errors import SqlError
from databuild.sql.views import DataFile, create_view, describe, reader
from tests.support.sql import write_rows


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(1, "200MB") as connection:
        yield connection


def rows_of(
    database: duckdb.DuckDBPyConnection, files: Sequence[DataFile], columns: Mapping[str, str] | None = None
) -> list[tuple[Any, ...]]:
    create_view(database, "v", files, columns or {})
    return sorted(database.execute("FROM v").fetchall(), key=repr)


def files_of(*paths: Path, **fields: object) -> list[DataFile]:
    return [DataFile(str(path), fields) for path in paths]


@pytest.mark.parametrize(
    "name", ["a.parquet", "a.csv", "A.CSV", "a.csv.gz", "a.json", "a.jsonl", "a.ndjson", "a.b.csv"]
)
def test_each_format_is_read(database: duckdb.DuckDBPyConnection, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith((".gz", ".CSV")):
        text = b"x,y\n1,one\n2,two\n"
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    else:
        write_rows(path, "SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS t(x, y)")

    assert rows_of(database, files_of(path)) == [(1, "one"), (2, "two")]


def test_tab_separated_values_are_read(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\ty\n1\tone\n")

    assert rows_of(database, files_of(tmp_path / "a.tsv")) == [(1, "one")]


def test_a_row_that_begins_like_a_comment_is_read(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n#1,one\n2,two\n")

    assert rows_of(database, files_of(tmp_path / "a.csv")) == [("#1", "one"), ("2", "two")]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(SqlError, match=r"'/x/a\.avro' has no known format; the extensions are \.csv"):
        reader("/x/a.avro")


def test_files_of_several_formats_are_one_view(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    parquet = write_rows(tmp_path / "a.parquet", "SELECT 1 AS x, 'one' AS y")
    csv = write_rows(tmp_path / "b.csv", "SELECT 'two' AS y, 2 AS x")

    assert rows_of(database, files_of(parquet, csv)) == [(1, "one"), (2, "two")]


def test_columns_that_a_file_lacks_are_null(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    old = write_rows(tmp_path / "a.parquet", "SELECT 1 AS x")
    new = write_rows(tmp_path / "b.parquet", "SELECT 2 AS x, 'new' AS y")

    assert rows_of(database, files_of(old, new)) == [(1, None), (2, "new")]


def test_a_path_is_no_pattern(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a[1]*?" / "it's.parquet", "SELECT 1 AS x")
    write_rows(tmp_path / "a1bc" / "it's.parquet", "SELECT 2 AS x")

    assert rows_of(database, files_of(path)) == [(1,)]


def test_fields_of_refs_are_typed_columns(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    files = [
        DataFile(
            str(write_rows(tmp_path / f"{day}.parquet", f"SELECT {day} AS x")),
            {"date": dt.date(2013, 1, day), "n": day},
        )
        for day in (1, 2)
    ]

    assert rows_of(database, files) == [(1, dt.date(2013, 1, 1), 1), (2, dt.date(2013, 1, 2), 2)]
    assert describe(database, ["v"]) == "v (x INTEGER, date DATE, n BIGINT)"


def test_each_type_of_field_has_a_type_in_sql(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.parquet", "SELECT 1 AS x")
    fields = {
        "name": "it's",
        "hour": dt.datetime(2013, 1, 1, 5),  # noqa: DTZ001 - fields have no time zone
        "big": 2**70,
        "date": dt.date(2013, 1, 1),
        "year": 2013,
    }

    assert rows_of(database, files_of(path, **fields)) == [(1, *fields.values())]
    assert (
        describe(database, ["v"]) == "v (x INTEGER, name VARCHAR, hour TIMESTAMP, big HUGEINT, date DATE, year BIGINT)"
    )


def test_a_column_of_the_file_hides_a_field_of_the_ref(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.parquet", "SELECT 'from the file' AS Date")

    assert rows_of(database, files_of(path, date=dt.date(2013, 1, 1))) == [("from the file",)]


def test_directories_of_paths_are_no_columns(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "month=2013-01" / "a.parquet", "SELECT 1 AS x, DATE '2013-01-01' AS month")

    assert rows_of(database, files_of(path)) == [(1, dt.date(2013, 1, 1))]


def test_fields_of_different_jobs_are_null_or_texts_where_they_differ(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    first, second = (write_rows(tmp_path / f"{x}.parquet", f"SELECT {x} AS x") for x in (1, 2))
    files = [*files_of(first, day=dt.date(2013, 1, 1), only="a"), *files_of(second, day=7)]

    assert rows_of(database, files) == [(1, "2013-01-01", "a"), (2, "7", None)]


def test_declared_columns_are_all_columns_with_their_types(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", "SELECT '007' AS code, 5 AS amount, 'x' AS other")
    columns = {"amount": "DECIMAL(18, 2)", "code": "VARCHAR", "date": "DATE"}

    assert rows_of(database, files_of(path, date=dt.date(2013, 1, 1)), columns) == [(5, "007", dt.date(2013, 1, 1))]
    assert describe(database, ["v"]) == "v (amount DECIMAL(18,2), code VARCHAR, date DATE)"


def test_a_view_without_files_has_its_declared_columns(database: duckdb.DuckDBPyConnection) -> None:
    assert rows_of(database, [], {"amount": "DECIMAL(18, 2)", "my code": "VARCHAR"}) == []
    assert describe(database, ["v"]) == "v (amount DECIMAL(18,2), my code VARCHAR)"


def test_a_declared_column_that_no_file_has_is_named_with_those_there_are(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "a.parquet", "SELECT 1 AS x, 2 AS y")

    with pytest.raises(
        SqlError, match="the view v has no column 'z', which `columns` of the job declares; its files have: x, y"
    ):
        create_view(database, "v", files_of(path), {"x": "INTEGER", "z": "INTEGER"})


def test_a_file_that_cannot_be_read_is_named(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no Parquet")

    with pytest.raises(SqlError, match=r"the files of the view v cannot be read, the first is .*a\.parquet: "):
        create_view(database, "v", files_of(tmp_path / "a.parquet"), {})


def test_a_query_cannot_read_variables_of_the_program(database: duckdb.DuckDBPyConnection) -> None:
    secret = [1]  # noqa: F841 - DuckDB would find it by its name

    with pytest.raises(duckdb.CatalogException):
        database.execute("FROM secret")


@pytest.mark.parametrize(("threads", "memory_limit"), [(0, "1GB"), (1, "much")])
def test_a_wrong_limit_is_refused(threads: int, memory_limit: str) -> None:
    with pytest.raises(SqlError, match=f"threads = {threads} and memory_limit = '{memory_limit}'"):
        connect(threads, memory_limit)
