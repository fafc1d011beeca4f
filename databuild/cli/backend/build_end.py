"""The end of a build as a backend reports it. `summary.py` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from databuild.cli.backend.records import Records
from databuild.errors import DataBuildError
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.model.results import BuildResult, Success


class Stopped(NamedTuple):
    """A build that ended by an error of ours instead of a job's."""

    build_request_id: str
    error: DataBuildError


class Summary(NamedTuple):
    """The summary of a build that has ended; `adoptions` are the operations whose partitions it used."""

    build_request_id: str
    result: BuildResult
    build: BuildRecord | None
    failed: Sequence[JobRunRecord]
    built: Sequence[str]
    adoptions: frozenset[str] = frozenset()


BuildEnd: TypeAlias = Summary | Stopped


def summarize(reader: Records, build_request_id: str, result: BuildResult, taken_from: Iterable[str] = ()) -> Summary:
    """Reads what there is to tell of a build.

    Args:
        reader: Reads the records of the build.
        build_request_id: The build.
        result: What came of it.
        taken_from: The builds, or operations that adopted data, whose partitions it took.
    """
    available = read_rows(
        lambda after, limit: reader.build_partitions(build_request_id, status="AVAILABLE", after=after, limit=limit),
        key=lambda partition: partition.ref,
        start="",
    )
    built = [partition.ref for partition in available]
    failed: Sequence[JobRunRecord] = ()
    if not isinstance(result, Success):
        failed = reader.job_runs(build_request_id, status="FAILED")
    adoptions = frozenset(one for one in taken_from if reader.build(one) is None)
    return Summary(build_request_id, result, reader.build(build_request_id), failed, built, adoptions)
