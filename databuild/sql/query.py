"""The description of a SQL job, which a build action checks and writes, and the job and its tests read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from databuild.sql.errors import SqlError

_WORKSPACE = "_main/"


class Statement(NamedTuple):
    """One SELECT.

    Attributes:
        origin: Its name, such as the path of its file among the runfiles.
        text: The SELECT without a semicolon.
    """

    origin: str
    text: str

    @property
    def name(self) -> str:
        """Its name in messages: for a file of the workspace, the path there."""
        return self.origin.removeprefix(_WORKSPACE)


class Check(NamedTuple):
    """A SELECT whose only value is true if a result is good.

    Attributes:
        severity: `error` or `warning`.
    """

    name: str
    statement: Statement
    severity: str


class Query(NamedTuple):
    """A SQL job.

    Attributes:
        output: The partition pattern of the job.
        datasets: The first segments of the refs of each view, by the name of the view.
        sources: The files of each view that is part of the code of the job, by the name of the view. The paths are
            relative to the runfiles.
        columns: The types of the columns of views, by the name of the view. Other views have the columns of their
            files.
        data_root: The directory of results; empty for that of the environment.
        default_data_root: The directory of results if the environment has none.
        memory_limit: The limit of DuckDB, such as `2GB`.
    """

    output: str
    select: Statement
    datasets: Mapping[str, str]
    sources: Mapping[str, Sequence[str]]
    columns: Mapping[str, Mapping[str, str]]
    checks: Sequence[Check]
    data_root: str
    default_data_root: str
    threads: int
    memory_limit: str

    @property
    def views(self) -> list[str]:
        return [*self.datasets, *self.sources]


def to_json(query: Query) -> str:
    """Returns the JSON of a query."""
    fields = query._asdict()
    fields["select"] = query.select._asdict()
    fields["checks"] = [{**check._asdict(), "statement": check.statement._asdict()} for check in query.checks]
    return json.dumps(fields, indent=1) + "\n"


def from_json(text: str) -> Query:
    """Parses the result of `to_json`."""
    fields: dict[str, Any] = json.loads(text)
    fields["select"] = Statement(**fields["select"])
    fields["checks"] = [Check(**{**check, "statement": Statement(**check["statement"])}) for check in fields["checks"]]
    return Query(**fields)


QUERY_VARIABLE = "DATABUILD_SQL_QUERY"
"""Names the file of the query, relative to the runfiles."""


def runfile(path: str, environ: Mapping[str, str]) -> str:
    """Returns the path of a runfile.

    Raises:
        SqlError: The runfiles are not known, as in a program that was started by hand.
    """
    runfiles = environ.get("RUNFILES_DIR", "")
    if not runfiles:
        raise SqlError("RUNFILES_DIR is not set: a SQL job runs in a build only. Build a partition of it")
    return os.path.join(runfiles, path)  # noqa: PTH118 - a text


def read_query(environ: Mapping[str, str]) -> Query:
    """Reads the query that the environment names.

    Raises:
        SqlError: The environment names none, as in a program that was started by hand.
    """
    path = environ.get(QUERY_VARIABLE, "")
    if not path:
        raise SqlError(f"{QUERY_VARIABLE} is not set: a SQL job runs in a build only. Build a partition of it")
    with open(runfile(path, environ), encoding="utf-8") as file:  # noqa: PTH123
        return from_json(file.read())
