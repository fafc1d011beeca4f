"""A SQL job from its task description to the stored partition and its reports."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from databuild.job import Run
from databuild.job.locations import file_uri
from databuild.sql.errors import SqlError
from databuild.sql.job import output_path, run
from tests.support.sql import OUTPUT, SqlRun, daily, make_query, read_rows, write_rows
from tools.python import child


@pytest.fixture
def job(tmp_path: Path) -> SqlRun:
    return SqlRun(tmp_path)


def days(folder: Path, *values: int) -> list[dict[str, Any]]:
    """Returns inputs, one a day, each with one row."""
    return [
        daily(day, write_rows(folder / f"{day}.parquet", f"SELECT {value} AS x"))
        for day, value in enumerate(values, start=1)
    ]


def test_the_result_is_stored_and_reported(job: SqlRun, tmp_path: Path) -> None:
    query = make_query("SELECT getvariable('month') AS month, date, x FROM daily ORDER BY x DESC;")

    job.produce(query, days(tmp_path, 10, 20))

    january = dt.date(2013, 1, 1)
    assert job.rows() == [(january, dt.date(2013, 1, 2), 20), (january, january, 10)]
    path = tmp_path / "data" / OUTPUT / "data.parquet"
    assert job.reports("partition") == [
        {
            "ref": OUTPUT,
            "content_digest": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
            "metadata": {"path": str(path), "rows": 2, "bytes": path.stat().st_size},
            "location": {
                "uri": file_uri(path),
                "size_bytes": path.stat().st_size,
                "version": f"{path.stat().st_mtime_ns}.{path.stat().st_ino}",
            },
        }
    ]
    assert list(path.parent.iterdir()) == [path]


def test_equal_results_have_equal_digests(job: SqlRun, tmp_path: Path) -> None:
    query = make_query("SELECT x % 7 AS x, count(*) AS n FROM daily, range(10000) AS r(y) GROUP BY ALL")

    for _ in range(2):
        job.produce(query, days(tmp_path, *range(1, 20)))

    first, second = job.reports("partition")
    assert first["content_digest"] == second["content_digest"]


def test_sums_of_integers_are_stored_as_integers(job: SqlRun, tmp_path: Path) -> None:
    query = make_query("SELECT sum(x::BIGINT) AS total, typeof(total) AS type, 'a' AS name FROM daily ORDER BY 1")

    job.produce(query, days(tmp_path, 2**62, 5))

    assert job.rows() == [(2**62 + 5, "HUGEINT", "a")]
    with pytest.raises(SqlError, match="INT64"):
        job.produce(query, days(tmp_path, 2**62, 2**62))


def test_the_order_of_the_query_is_that_of_the_file(job: SqlRun) -> None:
    job.produce(make_query("SELECT range AS x, sum(range) AS y FROM range(1000) GROUP BY x ORDER BY hash(x)"))

    rows = [x for x, _ in job.rows()]
    assert sorted(rows) == list(range(1000)) != rows
    job.produce(make_query("SELECT range AS x FROM range(1000) ORDER BY hash(x)"))
    assert [x for (x,) in job.rows()] == rows


def test_an_empty_result_is_a_result(job: SqlRun, tmp_path: Path) -> None:
    job.produce(make_query("SELECT x FROM daily WHERE false"), days(tmp_path, 1))

    assert job.rows() == []
    assert job.reports("partition")[0]["metadata"]["rows"] == 0


@pytest.mark.parametrize(
    ("kind", "text", "value", "sql_type"),
    [
        ("date", "2013-01-05", "2013-01-05", "DATE"),
        ("month", "2013-02", "2013-02-01", "DATE"),
        ("quarter", "2013-Q2", "2013-04-01", "DATE"),
        ("week", "2013-W02", "2013-01-07", "DATE"),
        ("hour", "2013-01-05T07", "2013-01-05 07:00:00", "TIMESTAMP"),
        ("year", "2013", "2013", "BIGINT"),
        ("int", "12345678901234567890", "12345678901234567890", "HUGEINT"),
        ("int", "-5", "-5", "BIGINT"),
        ("str", "it's", "it's", "VARCHAR"),
    ],
)
def test_a_field_of_the_output_is_a_typed_variable(
    job: SqlRun, kind: str, text: str, value: str, sql_type: str
) -> None:
    query = make_query("SELECT getvariable('order')::VARCHAR, typeof(getvariable('order'))")

    job.produce(query, fields={"order": text}, field_types={"order": kind})

    assert job.rows() == [(value, sql_type)]


def test_a_field_that_is_too_large_for_duckdb_is_named(job: SqlRun) -> None:
    with pytest.raises(SqlError, match="the field n has the value 1000"):
        job.produce(make_query("SELECT 1"), fields={"n": "1" + "0" * 80}, field_types={"n": "int"})


def test_files_of_the_job_are_views(job: SqlRun, tmp_path: Path) -> None:
    (tmp_path / "airlines.csv").write_text("code,name\nAA,American\n")
    query = make_query("SELECT name FROM airlines", sources={"airlines": ["airlines.csv"]})

    job.produce(query)

    assert job.rows() == [("American",)]


def test_datasets_are_told_apart_by_whole_segments(job: SqlRun, tmp_path: Path) -> None:
    inputs = [
        {**used, "ref": ref}
        for used, ref in zip(
            days(tmp_path, 1, 2, 3), ["flights/daily/1", "flights/weekly/1", "flights_old/1"], strict=True
        )
    ]
    datasets = {"daily": "flights/daily", "flights_old": "flights_old", "flights": "flights"}
    query = make_query(
        "SELECT (SELECT list(x) FROM daily), (SELECT list(x) FROM flights_old), "
        "(SELECT list(x ORDER BY x) FROM flights)",
        datasets=datasets,
    )

    job.produce(query, inputs)

    assert job.rows() == [([1], [3], [1, 2])]


def test_an_input_that_is_not_available_has_no_rows(job: SqlRun, tmp_path: Path) -> None:
    first, second = days(tmp_path, 1, 2)

    job.produce(
        make_query("SELECT x FROM daily"), [first, {**second, "kind": "QUERY", "available": False, "metadata": {}}]
    )

    assert job.rows() == [(1,)]


def test_a_view_without_inputs_is_empty_if_its_columns_are_declared(job: SqlRun) -> None:
    job.produce(make_query("SELECT count(*) AS n, sum(x) AS x FROM daily", columns={"daily": {"x": "BIGINT"}}))

    assert job.rows() == [(0, None)]


@pytest.mark.parametrize("sql", ["SELECT x FROM Daily", "WITH a AS (FROM daily) SELECT 1 FROM a"])
def test_a_view_of_unknown_columns_is_an_error_only_if_it_is_read(job: SqlRun, sql: str) -> None:
    job.produce(make_query("SELECT 1 AS x"))

    with pytest.raises(
        SqlError, match=r"report\.sql: the view daily has no inputs in this run.*columns = \{\"daily\": "
    ):
        job.produce(make_query(sql))


def test_an_input_without_a_path_is_named_with_what_its_job_reported(job: SqlRun, tmp_path: Path) -> None:
    with pytest.raises(
        SqlError, match=r"the input 'daily/date=2013-01-02' has no metadata `path`; it has: rows\. The job"
    ):
        job.produce(make_query("SELECT 1"), [*days(tmp_path, 1), daily(2, None, rows=5)])


def test_an_input_of_an_unknown_format_is_named(job: SqlRun) -> None:
    with pytest.raises(
        SqlError, match=r"the input 'daily/date=2013-01-01' cannot be read: '/x/a\.avro' has no known format"
    ):
        job.produce(make_query("SELECT 1"), [daily(1, "/x/a.avro")])


def test_an_input_whose_file_was_deleted_is_reported_as_missing(job: SqlRun, tmp_path: Path) -> None:
    with pytest.raises(SqlError, match=r"'daily/date=2013-01-01' .*gone\.csv is not a file"):
        job.produce(make_query("SELECT 1"), [daily(1, tmp_path / "gone.csv")])
    assert job.reports("missing") == [{"ref": "daily/date=2013-01-01"}]


def test_two_inputs_with_one_file_are_refused(job: SqlRun, tmp_path: Path) -> None:
    (first,) = days(tmp_path, 1)

    with pytest.raises(SqlError, match=r"two inputs of the view daily have the path .*1\.parquet"):
        job.produce(make_query("SELECT 1"), [first, {**first, "ref": "daily/date=2013-01-02"}])


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT x,\n y\nFROM daily", r"pkg/report\.sql:2: Binder Error: .*y"),
        ("SELECT x,\n CAST('a' || x AS INTEGER) AS y FROM daily", r"pkg/report\.sql:2: Conversion Error: .*'a1'"),
        ("SELECT error('bad data') FROM daily", r"pkg/report\.sql: Invalid Input Error: bad data"),
    ],
)
def test_an_error_of_duckdb_has_the_line_the_views_and_the_variables(
    job: SqlRun, tmp_path: Path, sql: str, fault: str
) -> None:
    with pytest.raises(SqlError) as caught:
        job.produce(make_query(sql), days(tmp_path, 1))

    lines = str(caught.value).splitlines()
    assert lines[-3:-1] == ["Views: daily (x INTEGER, date DATE)", "Variables: month DATE"]
    assert re.match(fault, lines[-1])


def test_a_failed_query_leaves_the_earlier_result_and_nothing_else(job: SqlRun, tmp_path: Path) -> None:
    job.produce(make_query("SELECT x FROM daily"), days(tmp_path, 1))

    with pytest.raises(SqlError):
        job.produce(make_query("SELECT error('bad') AS x FROM daily"), days(tmp_path, 2))

    assert job.rows() == [(1,)]
    assert [path.name for path in (tmp_path / "data" / OUTPUT).iterdir()] == ["data.parquet"]
    assert len(job.reports("partition")) == 1


def test_the_unfinished_file_of_a_killed_run_is_removed(job: SqlRun, tmp_path: Path) -> None:
    path = tmp_path / "data" / OUTPUT / "data.parquet"
    killed = f"""
import os
from databuild.job import writing
with writing({str(path)!r}) as temporary:
    open(temporary, "w").close()
    os._exit(0)
"""
    subprocess.run(child.command("-c", killed), check=True)
    assert len(list(path.parent.iterdir())) == 1

    job.produce(make_query("SELECT 1 AS x"))

    assert list(path.parent.iterdir()) == [path]


def test_checks_read_the_result_and_the_inputs(job: SqlRun, tmp_path: Path) -> None:
    checks = {
        "has_rows": "SELECT count(*) > 0 FROM result;",
        "keeps_all": "SELECT (FROM result SELECT sum(x)) = sum(x) FROM daily",
    }
    query = make_query("SELECT x FROM daily", checks=checks)

    job.produce(query, days(tmp_path, 1, 2))

    assert [(check["name"], check["passed"], check["ref"]) for check in job.reports("check")] == [
        ("has_rows", True, OUTPUT),
        ("keeps_all", True, OUTPUT),
    ]


def test_a_result_that_fails_a_check_is_not_stored(job: SqlRun, tmp_path: Path) -> None:
    job.produce(make_query("SELECT x FROM daily"), days(tmp_path, 1))
    query = make_query("SELECT x FROM daily", checks={"small": "SELECT max(x) < 5\nFROM result", "any": "SELECT true"})

    with pytest.raises(SqlError, match=f"{OUTPUT} is not stored, because it fails small$"):
        job.produce(query, days(tmp_path, 10))

    assert job.rows() == [(1,)]
    small, other = job.reports("check")
    assert small == {
        "name": "small",
        "passed": False,
        "severity": "SEVERITY_ERROR",
        "ref": OUTPUT,
        "message": "false: SELECT max(x) < 5 FROM result",
    }
    assert other["passed"]


def test_a_result_that_fails_a_check_of_severity_warning_is_stored(job: SqlRun, tmp_path: Path) -> None:
    job.produce(
        make_query("SELECT x FROM daily", warning_checks={"small": "SELECT max(x) < 5 FROM result"}), days(tmp_path, 10)
    )

    assert job.rows() == [(10,)]
    (check,) = job.reports("check")
    assert (check["passed"], check["severity"]) == (False, "SEVERITY_WARNING")


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("SELECT count(*) FROM result", "2"),
        ("SELECT NULL::BOOLEAN", "None"),
        ("SELECT true, true", "1 rows of 2 columns"),
        ("SELECT x > 0 FROM result", "2 rows of 1 columns"),
        ("SELECT true FROM result WHERE false", "0 rows of 0 columns"),
    ],
)
def test_a_check_that_is_neither_true_nor_false_is_an_error(
    job: SqlRun, tmp_path: Path, check: str, found: str
) -> None:
    with pytest.raises(SqlError, match=f"the check c returns {found}; a check is a SELECT of one value, true or false"):
        job.produce(make_query("SELECT x FROM daily", checks={"c": check}), days(tmp_path, 1, 2))


def test_an_error_in_a_check_names_the_check(job: SqlRun, tmp_path: Path) -> None:
    with pytest.raises(SqlError, match="the check c:1: Binder Error"):
        job.produce(make_query("SELECT x FROM daily", checks={"c": "SELECT y > 1 FROM result"}), days(tmp_path, 1))


def test_the_data_root_is_of_the_job_then_of_the_environment_then_of_the_flag() -> None:
    workspace = {"BUILD_WORKSPACE_DIRECTORY": "/ws"}
    everywhere = {**workspace, "DATABUILD_DATA_ROOT": "env"}
    plain, own = make_query("SELECT 1", default_data_root="flag"), make_query("SELECT 1", data_root="/own")

    assert output_path(plain, "a/b=1", workspace) == "/ws/flag/a/b=1/data.parquet"
    assert output_path(plain, "a/b=1", everywhere) == "/ws/env/a/b=1/data.parquet"
    assert output_path(own, "a/b=1", everywhere) == "/own/a/b=1/data.parquet"


@pytest.mark.parametrize("ref", ["a/../b", "/etc/x", "s3://bucket/x", "a/./b", "a/"])
def test_a_ref_that_leaves_the_data_root_is_refused(ref: str) -> None:
    with pytest.raises(SqlError, match="cannot be a path below the data root"):
        output_path(make_query("SELECT 1"), ref, {})


def test_a_data_root_that_is_a_file_is_an_error_with_its_path(job: SqlRun, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(SqlError, match=f"{OUTPUT} cannot be written to .*data.parquet: Not a directory"):
        job.produce(make_query("SELECT 1 AS x"))


@pytest.mark.parametrize("missing", ["DATABUILD_SQL_QUERY", "RUNFILES_DIR"])
def test_a_program_that_is_started_by_hand_says_what_is_missing(missing: str) -> None:
    environment = {"DATABUILD_SQL_QUERY": "q.json", "RUNFILES_DIR": "/x"}
    del environment[missing]

    with pytest.raises(SystemExit, match=f"{missing} is not set: a SQL job runs in a build only"):
        run(Run([], environment))


def test_many_inputs_are_one_view(job: SqlRun, tmp_path: Path) -> None:
    paths = [Path(write_rows(tmp_path / "in" / f"{n}.parquet", f"SELECT {n} AS x")) for n in range(300)]
    inputs = [
        {**daily(1, path), "ref": f"daily/n={n}", "fields": {"n": str(n)}, "field_types": {"n": "int"}}
        for n, path in enumerate(paths)
    ]

    job.produce(make_query("SELECT count(*) AS rows, sum(x) AS x, bool_and(x = n) AS matching FROM daily"), inputs)

    assert read_rows(tmp_path / "data" / OUTPUT / "data.parquet") == [(300, sum(range(300)), True)]
