"""The program of a test of a SQL job: run_test.py [--update].

`DATABUILD_SQL_TEST` names the test, a JSON file of the rule. `--update` writes the result to the file of the expected
result, in the workspace of `bazel run`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from databuild.sql.errors import SqlError
from databuild.sql.query import Query, from_json, runfile
from databuild.sql.testing.case import Case, run_case
from databuild.sql.testing.table import to_csv

TEST_VARIABLE = "DATABUILD_SQL_TEST"
_FAILED = 1
_MISUSED = 2


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs the test, and returns the exit code."""
    if list(arguments) not in ([], ["--update"]):
        sys.stderr.write(f"unknown arguments {' '.join(arguments)!r}; the only one is --update\n")
        return _MISUSED
    environ = {**environ, "RUNFILES_DIR": environ.get("RUNFILES_DIR", "") or environ.get("TEST_SRCDIR", "")}
    try:
        test: dict[str, Any] = json.loads(Path(runfile(environ.get(TEST_VARIABLE, ""), environ)).read_text())
        query = from_json(Path(runfile(test["query"], environ)).read_text())
        return _run(test, _located(query, environ), environ, update=bool(arguments))
    except SqlError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED


def _located(query: Query, environ: Mapping[str, str]) -> Query:
    """Returns a query with the paths of its source files."""
    sources = {view: [runfile(path, environ) for path in paths] for view, paths in query.sources.items()}
    return query._replace(sources=sources)


def _run(test: Mapping[str, Any], query: Query, environ: Mapping[str, str], *, update: bool) -> int:
    case = Case(
        output=test["output"],
        inputs={view: [runfile(path, environ) for path in paths] for view, paths in test["inputs"].items()},
        expected=runfile(test["expected"], environ),
        ordered=test["ordered"],
        types=test["types"],
        failing_checks=test["failing_checks"],
    )
    outcome = run_case(query, case)
    if update:
        workspace = environ.get("BUILD_WORKSPACE_DIRECTORY", "")
        if not workspace:
            sys.stderr.write(f"--update writes to the workspace, which only bazel run tells: {_update_command(test)}\n")
            return _MISUSED
        path = Path(workspace, test["expected_source"])
        path.write_text(to_csv(outcome.result, ordered=case.ordered), encoding="utf-8")
        sys.stderr.write(f"updated {path}\n")
        return 0
    for fault in outcome.faults:
        sys.stderr.write(f"{fault}\n")
    if outcome.faults:
        sys.stderr.write(f"If the result is right, write it to the expected file: {_update_command(test)}\n")
    return _FAILED if outcome.faults else 0


def _update_command(test: Mapping[str, Any]) -> str:
    return f"bazel run {test['label']} -- --update"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
