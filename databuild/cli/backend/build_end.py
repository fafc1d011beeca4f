"""The end of a build as a backend reports it. `summary.py` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from databuild.cli.backend.records import Records
from databuild.errors import DataBuildError
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.model.results import BuildResult, Success

_PAGE = 1000


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
    built: list[str] = []
    while True:
        after = built[-1] if built else ""
        page = reader.build_partitions(build_request_id, status="AVAILABLE", after=after, limit=_PAGE)
        built += [partition.ref for partition in page]
        if len(page) < _PAGE:
            break
    failed: Sequence[JobRunRecord] = ()
    if not isinstance(result, Success):
        failed = reader.job_runs(build_request_id, status="FAILED")
    adoptions = frozenset(one for one in taken_from if reader.build(one) is None)
    return Summary(build_request_id, result, reader.build(build_request_id), failed, built, adoptions)
