"""A test case of a SQL job: runs its query over small files and compares the result with an expected one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from databuild.graph.patterns import PartitionPattern
from databuild.job import Fields
from databuild.sql.errors import SqlError
from databuild.sql.execution import CheckOutcome, Execution
from databuild.sql.query import Query
from databuild.sql.testing.table import Table, differences, read_expected
from databuild.sql.views import DataFile


class Case(NamedTuple):
    """A test case.

    Attributes:
        output: The ref that the job produces.
        inputs: The paths of the files of each view, by its name. Any other view has the files that are part of the job.
        expected: The path of the CSV file of the expected result.
        ordered: True to compare the order of rows.
        types: The expected types of columns, by name.
        failing_checks: The names of the checks that fail.
    """

    output: str
    inputs: Mapping[str, Sequence[str]]
    expected: str
    ordered: bool
    types: Mapping[str, str]
    failing_checks: Sequence[str]


class Outcome(NamedTuple):
    """The result of a query in a test case, and its faults.

    Attributes:
        faults: The differences from the expectation, one text each; empty if the test passes.
    """

    result: Table
    faults: Sequence[str]


def run_case(query: Query, case: Case) -> Outcome:
    """Runs a test case.

    Raises:
        SqlError: The query cannot run.
    """
    execution = Execution(query, _fields(query, case.output), _files(query, case))
    try:
        with tempfile.TemporaryDirectory() as folder:
            execution.write_result(os.path.join(folder, "result.parquet"))  # noqa: PTH118 - a text
            result = Table(*execution.result())
            faults = [*_check_faults(execution.check(), case.failing_checks), *_type_faults(result, case.types)]
            faults += _result_faults(execution, case, result)
    finally:
        execution.close()
    return Outcome(result, faults)


def _result_faults(execution: Execution, case: Case, result: Table) -> list[str]:
    try:
        expected = read_expected(execution.database, case.expected, result)
    except SqlError as error:
        return [str(error)]
    return differences(expected, result, ordered=case.ordered)


def _fields(query: Query, ref: str) -> Fields:
    pattern = PartitionPattern(query.output)
    texts = pattern.match(ref)
    if texts is None:
        raise SqlError(f"the output {ref!r} is not one of the job: {pattern.explain_mismatch(ref)}")
    return Fields(ref, texts, pattern.fields)


def _files(query: Query, case: Case) -> dict[str, list[DataFile]]:
    sources = {view: paths for view, paths in query.sources.items() if view not in case.inputs}
    return {view: [DataFile(path, {}) for path in paths] for view, paths in {**case.inputs, **sources}.items()}


def _check_faults(outcomes: Sequence[CheckOutcome], failing: Sequence[str]) -> list[str]:
    faults = []
    for check, passed in outcomes:
        if passed and check.name in failing:
            faults.append(f"the check {check.name} passes, but failing_checks has it")
        elif not passed and check.name not in failing:
            faults.append(f"the check {check.name} fails: {' '.join(check.statement.text.split())}")
    unknown = sorted(set(failing) - {check.name for check, _ in outcomes})
    return [*faults, *(f"failing_checks has {name}, which is not a check of the job" for name in unknown)]


def _type_faults(result: Table, types: Mapping[str, str]) -> list[str]:
    found = dict(zip(result.columns, result.types, strict=True))
    return [
        f"the column {column} has the type {found.get(column, 'of no column')}, but {kind} is expected"
        if column in found
        else f"the result has no column {column}, which `types` has"
        for column, kind in types.items()
        if found.get(column, "").upper() != kind.upper()
    ]
