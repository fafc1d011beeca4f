"""Connections to DuckDB that share a database, as in a worker."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from databuild.sql.database import connect


def test_a_connection_has_nothing_of_an_earlier_one() -> None:
    with connect(1, "200MB") as first:
        first.execute("CREATE TEMP VIEW seen AS SELECT 1")
        first.execute("SET VARIABLE day = 1")
    with connect(1, "200MB") as second:
        assert second.execute("SELECT getvariable('day')").fetchall() == [(None,)]
        with pytest.raises(duckdb.CatalogException):
            second.execute("SELECT * FROM seen")


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    for number in range(5):
        with connect(1, "200MB") as connection:
            connection.execute(f"COPY (SELECT {number} AS x{number}) TO '{path}.new' (FORMAT PARQUET)")
            Path(f"{path}.new").replace(path)
            assert connection.execute(f"SELECT x{number} FROM '{path}'").fetchall() == [(number,)]
