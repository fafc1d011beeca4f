"""The program of a SQL job as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from databuild.sql.query import to_json
from tests.support.sql import OUTPUT, SqlRun, make_query
from tests.support.waiting import until
from tools.python import child


def start(job: SqlRun, sql: str) -> subprocess.Popen[str]:
    """Starts the program with a query that has no inputs."""
    (job.folder / "query.json").write_text(to_json(make_query(sql)))
    described = {"ref": OUTPUT, "fields": {"month": "2013-01"}, "field_types": {"month": "month"}}
    (job.folder / "task.json").write_text(json.dumps({"outputs": [described]}))
    environment = {**os.environ, **job.env, "DATABUILD_SQL_QUERY": "query.json", "TMPDIR": str(job.folder / "tmp")}
    (job.folder / "tmp").mkdir(exist_ok=True)
    command = child.command("-m", "databuild.sql.run_job")
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_run_stores_its_result(tmp_path: Path) -> None:
    job = SqlRun(tmp_path)

    with start(job, "SELECT getvariable('month')::VARCHAR AS month") as process:
        assert process.wait() == 0

    assert job.rows() == [("2013-01-01",)]


def test_a_fault_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    with start(SqlRun(tmp_path), "SELECT\nerror('bad data')") as process:
        _, printed = process.communicate()

    assert process.returncode == 1
    assert printed.splitlines() == [
        "Views: none",
        "Variables: month DATE",
        "pkg/report.sql: Invalid Input Error: bad data",
    ]


async def test_a_run_that_is_stopped_removes_its_temporary_files(tmp_path: Path) -> None:
    job = SqlRun(tmp_path)
    folder = tmp_path / "data" / OUTPUT
    # Larger than the memory limit.
    endless = "SELECT range AS x, hash(range) AS y FROM range(1000000000) ORDER BY y"

    with start(job, endless) as process:
        try:
            await until(lambda: list((tmp_path / "tmp").rglob("duckdb_temp_*")) or process.poll() is not None)
            process.send_signal(signal.SIGTERM)
            _, printed = process.communicate()
        finally:
            process.kill()

    assert (process.returncode, printed) == (128 + signal.SIGTERM, "")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not folder.exists() or list(folder.iterdir()) == []
