"""Comparison of the data of an environment with that of the base, partition by partition."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from databuild.event_log.overlay.reader import OverlayReader
from databuild.event_log.reads import BuildReads
from databuild.model.environment_views import Difference, PartitionComparison
from databuild.model.pacing import slices
from databuild.model.paging import PAGE_ROWS, read_pages, read_rows
from databuild.model.records import PartitionRecord
from databuild.tuples import NamedTuple

_PLACES: Final = frozenset({"path"})
"""Metadata that says where data is. It always differs."""

NEW: Final = "NEW"
SAME: Final = "SAME"
CHANGED: Final = "CHANGED"


def compare(reader: OverlayReader, refs: Collection[str] = (), after: str = "") -> Iterator[PartitionComparison]:
    """Yields a comparison of each partition of which the environment has data of its own, by ref.

    Args:
        reader: Reads the environment.
        refs: The partitions; none for all.
        after: The ref after which to begin.
    """
    own_reports = _Reports(reader.own)
    base_reports = _Reports(reader.base)
    for records in _own_records(reader, sorted(refs), after):
        below = reader.base.partition_records([record.ref for record in records])
        for record in records:
            base = below.get(record.ref)
            job = record.manifest.job_label if record.manifest is not None else ""
            if base is None or not base.version:
                found = _differences(None, record, _NOTHING, own_reports.of(record))
                yield PartitionComparison(record.ref, NEW, found, job)
                continue
            differences = _differences(base, record, base_reports.of(base), own_reports.of(record))
            same = all(difference.subject == "code" for difference in differences)
            yield PartitionComparison(record.ref, SAME if same else CHANGED, differences, job)


class _Report(NamedTuple):
    """The metrics of a job run by name, and its checks by name and ref, each as text."""

    metrics: dict[str, str]
    checks: dict[tuple[str, str], str]


_NOTHING: Final = _Report({}, {})


class _Reports:
    """The metrics and checks of job runs, from the events of their builds, which are read once."""

    def __init__(self, reader: BuildReads) -> None:
        self._reader = reader
        self._builds: dict[str, dict[str, _Report] | None] = {}

    def of(self, record: PartitionRecord) -> _Report | None:
        """Returns the report of the run that produced a partition; None if it was adopted or its build pruned."""
        build = record.produced_by_build_request_id
        if not record.job_run_id:
            return None
        if build not in self._builds:
            self._builds[build] = self._read(build)
        reports = self._builds[build]
        return reports.get(record.job_run_id, _NOTHING) if reports is not None else None

    def _read(self, build: str) -> dict[str, _Report] | None:
        """Returns the reports of the runs of a build, by run; None if its events were pruned."""
        reports: dict[str, _Report] | None = None
        events = read_rows(
            lambda after, limit: self._reader.events(build, after_sequence=after, limit=limit),
            key=lambda event: event.sequence,
            start=0,
        )
        for event in events:
            reports = {} if reports is None else reports
            if event.job.metrics:
                report = reports.setdefault(event.job.job_run_id, _Report({}, {}))
                report.metrics.update(
                    (one.name, f"{one.value:g}{one.unit and f' {one.unit}'}") for one in event.job.metrics
                )
            elif event.WhichOneof("event") == "check":
                report = reports.setdefault(event.check.job_run_id, _Report({}, {}))
                result = event.check.result
                report.checks[result.name, result.ref] = "passed" if result.passed else "did not pass"
        return reports


def _differences(
    base: PartitionRecord | None, own: PartitionRecord, base_report: _Report | None, own_report: _Report | None
) -> tuple[Difference, ...]:
    """Returns the differences; of metrics and checks only if the reports of both runs are known."""
    base_metadata = base.metadata if base is not None else {}
    differences = [*_content(base, own), *_of("metadata", _texts(base_metadata), _texts(own.metadata))]
    if base_report is not None and own_report is not None:
        differences += _of("metric", base_report.metrics, own_report.metrics)
        differences += _of("check", _checks_of(base_report, own.ref), _checks_of(own_report, own.ref))
    return tuple(differences)


def _content(base: PartitionRecord | None, own: PartitionRecord) -> Iterator[Difference]:
    """Yields the differences of code and content. Versions that are not digests say nothing about the content."""
    if base is None or not base.version:
        return
    codes = [record.manifest.code_digest if record.manifest is not None else "" for record in (base, own)]
    if codes[0] != codes[1]:
        yield Difference("code", codes[0][:12] or None, codes[1][:12] or None)
    if base.version != own.version:
        yield Difference("content", base.version, own.version)


def _checks_of(report: _Report, ref: str) -> dict[str, str]:
    """Returns the checks of a partition, and those of its whole run."""
    return {name: text for (name, checked), text in report.checks.items() if checked in {"", ref}}


def _texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, value in metadata.items()
        if name not in _PLACES
    }


def _of(kind: str, base: Mapping[str, str], own: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*base, *own}):
        if base.get(name) != own.get(name):
            yield Difference(f"{kind} {name}", base.get(name), own.get(name))


def _own_records(reader: OverlayReader, refs: list[str], after: str) -> Iterator[list[PartitionRecord]]:
    """Yields the records of available data of the environment after a ref, page by page."""
    if refs:
        for part in slices([ref for ref in refs if ref > after], PAGE_ROWS):
            records = reader.own.partition_records(part)
            yield [records[ref] for ref in part if ref in records and records[ref].available]
        return
    pages = read_pages(
        lambda last, limit: reader.own.partitions(after=last, limit=limit), key=lambda record: record.ref, start=after
    )
    for page in pages:
        yield [record for record in page if record.available]
