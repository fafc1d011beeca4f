"""SQL jobs in tests: queries with defaults, their inputs, and runs of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from databuild.job import Run
from databuild.sql.check_query import checked_query
from databuild.sql.database import literal
from databuild.sql.job import produce
from databuild.sql.query import Query

OUTPUT = "report/month=2013-01"


def make_query(sql: str, **attributes: Any) -> Query:
    """Returns the query of a job with the view `daily` that produces reports of months."""
    description: dict[str, Any] = {
        "checks": {"error": attributes.pop("checks", {}), "warning": attributes.pop("warning_checks", {})},
        "data_root": "",
        "datasets": {"daily": "daily"},
        "default_data_root": "data",
        "fields": ["month", "order"],
        "memory_limit": "200MB",
        "output": "report/month={month:month}",
        "select": "_main/pkg/report.sql",
        "sources": {},
        "threads": 1,
    }
    columns = {view: list(types.items()) for view, types in attributes.pop("columns", {}).items()}
    return checked_query({**description, "columns": columns, **attributes}, sql)


def daily(day: int, path: Path | str | None, **metadata: object) -> dict[str, Any]:
    """Returns the description of an input of January 2013."""
    reported = metadata if path is None else {"path": str(path), **metadata}
    return {
        "ref": f"daily/date=2013-01-{day:02}",
        "fields": {"date": f"2013-01-{day:02}"},
        "field_types": {"date": "date"},
        "kind": "MATERIALIZE",
        "available": True,
        "metadata": reported,
    }


class SqlRun:
    """Runs of SQL jobs in a workspace of their own.

    Args:
        folder: The workspace.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "BUILD_WORKSPACE_DIRECTORY": str(folder),
            "DATABUILD_REPORT": str(folder / "report.jsonl"),
            "DATABUILD_TASK": str(folder / "task.json"),
            "RUNFILES_DIR": str(folder),
        }

    def produce(self, query: Query, inputs: Sequence[Mapping[str, Any]] = (), **output: Any) -> None:
        """Runs a query for an output, by default that of January 2013."""
        described = {"ref": OUTPUT, "fields": {"month": "2013-01"}, "field_types": {"month": "month"}, **output}
        Path(self.env["DATABUILD_TASK"]).write_text(json.dumps({"outputs": [described], "inputs": list(inputs)}))
        produce(query, Run([], self.env))

    def rows(self) -> list[tuple[Any, ...]]:
        """Returns the stored rows of January 2013."""
        return read_rows(self.folder / "data" / OUTPUT / "data.parquet")

    def reports(self, kind: str) -> list[Mapping[str, Any]]:
        """Returns the reports of one kind, such as `partition`, in order."""
        path = Path(self.env["DATABUILD_REPORT"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [report[kind] for report in map(json.loads, lines) if kind in report]


def read_rows(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.execute("FROM read_parquet(?, hive_partitioning = false)", [str(path)]).fetchall()


def write_rows(path: Path, select: str) -> Path:
    """Writes the result of a SELECT as a file, in the format of its extension, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY ({select}) TO {literal(str(path))}")
    return path
