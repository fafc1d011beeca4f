"""The outcome of a build, as a backend reports it and `summary.py` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from databuild.cli.backend.records import Records
from databuild.errors import DataBuildError
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.model.results import BuildResult, Success
from databuild.tuples import NamedTuple


class Stopped(NamedTuple):
    """A build that an error of DataBuild stopped, rather than the failure of a job; `exported` as in `Summary`."""

    build_request_id: str
    error: DataBuildError
    exported: bool = True


class Summary(NamedTuple):
    """A build that has ended by itself.

    Attributes:
        build_request_id: The id.
        result: The result.
        build: Its record; None if it was pruned meanwhile.
        failed: The job runs that failed, also those after which another attempt at the task followed.
        built: The refs of the partitions that the build made.
        adoptions: The ids of the operations that adopted partitions which the build used.
        exported: False if an exporter could not send all events, or its receiver refused some.
    """

    build_request_id: str
    result: BuildResult
    build: BuildRecord | None
    failed: Sequence[JobRunRecord]
    built: Sequence[str]
    adoptions: frozenset[str] = frozenset()
    exported: bool = True


BuildOutcome: TypeAlias = Summary | Stopped


def summarize(reader: Records, build_request_id: str, result: BuildResult, taken_from: Iterable[str] = ()) -> Summary:
    """Reads the records that the summary of a build needs.

    Args:
        reader: Reads them.
        build_request_id: The id of the build.
        result: Its result.
        taken_from: The ids of the builds, and of the operations that adopted data, whose partitions it used.
    """
    available = read_rows(
        lambda after, limit: reader.build_partitions(build_request_id, status="AVAILABLE", after=after, limit=limit),
        key=lambda partition: partition.ref,
        start="",
    )
    built = [partition.ref for partition in available]
    failed: Sequence[JobRunRecord] = ()
    if not isinstance(result, Success):
        failed = list(
            read_rows(
                lambda after, limit: reader.job_runs(build_request_id, status="FAILED", after=after, limit=limit),
                key=lambda job_run: job_run.number,
                start=0,
            )
        )
    adoptions = frozenset(source for source in taken_from if reader.build(source) is None)
    return Summary(build_request_id, result, reader.build(build_request_id), failed, built, adoptions)
