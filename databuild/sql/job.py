"""The program of a SQL job: reads its inputs as views, and stores the result of its query as a partition."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping

from databuild.job import Run, content_digest, writing
from databuild.job.locations import DATA_ROOT_VARIABLE, place
from databuild.sql.errors import SqlError
from databuild.sql.execution import Execution
from databuild.sql.query import Query, read_query, runfile
from databuild.sql.views import DataFile, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from databuild.job import Input

_FILE = "data.parquet"


def run(run: Run) -> None:
    """Runs the query of the environment and reports the partition.

    Raises:
        SystemExit: The query, an input or the result is invalid, or a check of severity error fails.
    """
    try:
        produce(read_query(run.env), run)
    except SqlError as error:
        raise SystemExit(str(error)) from error


def produce(query: Query, run: Run) -> None:
    """Stores the result of a query as the output of a run, and reports it.

    Raises:
        SqlError: The query, an input or the result is invalid, or a check of severity error fails.
    """
    output = run.output
    path = output_path(query, output.ref, run.env)
    execution = Execution(query, output.fields, _files(query, run))
    _remove_leftovers(path)
    try:
        with writing(path) as temporary:
            rows = execution.write_result(temporary)
            _check(execution, run, output.ref)
            size = os.stat(temporary).st_size  # noqa: PTH116 - a text
            digest = content_digest(temporary)
    except OSError as error:
        raise SqlError(f"{output.ref} cannot be written to {path}: {error.strerror}") from error
    finally:
        execution.close()
    run.finished(output.ref, uri=path, path=path, rows=rows, bytes=size, content_digest=digest)


def _remove_leftovers(path: str) -> None:
    """Removes unfinished files of runs that were killed. No other run writes the partition at the same time."""
    folder, name = os.path.split(path)
    for leftover in glob.glob(os.path.join(glob.escape(folder), f".*.partial.{name}")):  # noqa: PTH118, PTH207
        os.unlink(leftover)  # noqa: PTH108


def output_path(query: Query, ref: str, environ: Mapping[str, str]) -> str:
    """Returns the absolute path of the data of a partition.

    A relative data root is relative to the workspace. An environment has a folder of its own in it.

    Raises:
        SqlError: The ref is not a path below a directory.
    """
    root = query.data_root or environ.get(DATA_ROOT_VARIABLE, "") or query.default_data_root
    try:
        return f"{place(ref, environ, root)}/{_FILE}"
    except ValueError as error:
        raise SqlError(str(error)) from error


def _files(query: Query, run: Run) -> dict[str, list[DataFile]]:
    """Returns the files of each view.

    Raises:
        SqlError: An input has no file, or a file is an input twice.
    """
    files = {
        view: [_data_file(used, run) for used in run.inputs_of(dataset) if used.available]
        for view, dataset in query.datasets.items()
    }
    for view, some in files.items():
        paths: set[str] = set()
        for file in some:
            if file.path in paths:
                raise SqlError(
                    f"two inputs of the view {view} have the path {file.path}; a SQL job reads partitions that have a "
                    "file each"
                )
            paths.add(file.path)
    sources = {view: [DataFile(runfile(path, run.env), {}) for path in paths] for view, paths in query.sources.items()}
    return files | sources


def _data_file(used: Input, run: Run) -> DataFile:
    path = used.metadata.get("path")
    if not isinstance(path, str) or not path:
        reported = f"; it has: {', '.join(used.metadata)}" if used.metadata else ""
        raise SqlError(
            f"the input {used.ref!r} has no metadata `path`{reported}. The job that produces it must report the path "
            'of its file: {"partition": {"ref": ..., "metadata": {"path": ...}}}, in Python run.finished(ref, path=...)'
        )
    try:
        reader(path)
    except SqlError as error:
        raise SqlError(f"the input {used.ref!r} cannot be read: {error}") from error
    if not os.path.isfile(path):  # noqa: PTH113 - a text
        run.missing(used.ref)
        raise SqlError(f"the input {used.ref!r} cannot be read: {os.path.abspath(path)} is not a file")  # noqa: PTH100
    return DataFile(path, used.fields)


def _check(execution: Execution, run: Run, ref: str) -> None:
    failed = []
    for check, passed in execution.check():
        message = "" if passed else f"false: {' '.join(check.statement.text.split())}"
        severity: Literal["warning", "error"] = "warning" if check.severity == "warning" else "error"
        run.check(check.name, passed, severity=severity, ref=ref, message=message)
        if not passed and severity == "error":
            failed.append(check.name)
    if failed:
        raise SqlError(f"{ref} is not stored, because it fails {', '.join(failed)}")
