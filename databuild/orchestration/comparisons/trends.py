"""The trends of partitions and jobs: each number that was reported, over the partitions of a series.

The cost depends on the number of points, and not on the number of partitions in the event log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from databuild.event_log.reads import BuildReads, PartitionReads, ReportReads
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.series import Series, only_series_of, series_of
from databuild.model.metadata import schema_of
from databuild.model.records import ReportedData
from databuild.model.schemas import SchemaComparison, schema_changes
from databuild.model.trends import Measured, Trend, Trends, trend
from databuild.orchestration.comparisons.measurements import Measurement, measured, series_data

MAX_TRENDS: Final = 20
"""The maximum number of trends of one partition or job."""

_LAST: Final = ("size", "duration")
_MAX_RUNS: Final = 100
_MAX_OUTPUTS: Final = 1000
_HISTORY_RUNS: Final = 20


class _PartitionReads(PartitionReads, ReportReads, Protocol):
    """The reads for the trends of a partition."""


class _JobReads(BuildReads, PartitionReads, ReportReads, Protocol):
    """The reads for the trends of a job."""


def partition_trends(reader: _PartitionReads, catalog: JobCatalog, ref: str, limit: int) -> Trends:
    """Returns the trends of the series of a partition, up to this one, and what has changed in its schema.

    Args:
        reader: Reads the event log.
        catalog: The jobs, whose patterns say which partitions are a series.
        ref: The partition.
        limit: The maximum number of points.
    """
    series = catalog.series_of(ref)
    data = reader.reported_of([ref])
    available = [one for one in data if one.available]
    if series is None:
        return Trends((), _schema(reader, ref, available, ()))
    earlier = series_data(reader, series, before=ref, limit=limit - len(available))
    trends = _trends([(series, measured(reader, [*available, *earlier]))], ref)
    return Trends(trends, _schema(reader, ref, available, earlier))


def job_trends(reader: _JobReads, job: Job, limit: int) -> Trends:
    """Returns the trends of the partitions of a job: the newest dates, or the outputs of its newest runs.

    Only a pattern whose one field is a date has its partitions in the order of dates.

    Args:
        reader: Reads the event log.
        job: The job.
        limit: The maximum number of points for each pattern.
    """
    groups: list[tuple[Series, Sequence[Measurement]]] = []
    for pattern in job.patterns:
        series = only_series_of(pattern)
        if series is not None:
            groups.append((series, measured(reader, series_data(reader, series, limit=limit))))
    if not groups:
        groups = _of_newest_runs(reader, job, limit)
    return Trends(_trends(groups))


def _of_newest_runs(reader: _JobReads, job: Job, limit: int) -> list[tuple[Series, Sequence[Measurement]]]:
    runs = [run.job_run_id for run in reader.runs_of_job(job.label, limit=_MAX_RUNS)]
    refs = [ref for _, ref in reader.outputs_of_runs(runs, limit=_MAX_OUTPUTS)][-limit:]
    found: dict[Series, list[ReportedData]] = {}
    for data in reader.reported_of(refs):
        series = next((one for pattern in job.patterns if (one := series_of(pattern, data.ref))), None)
        if series is not None and data.available:
            found.setdefault(series, []).append(data)
    return [(series, measured(reader, data)) for series, data in sorted(found.items(), key=lambda item: item[0][:2])]


def _trends(groups: Iterable[tuple[Series, Sequence[Measurement]]], ref: str = "") -> tuple[Trend, ...]:
    units: dict[str, str] = {}
    values: dict[str, list[list[Measured]]] = {}
    for series, partitions in groups:
        of_series: dict[str, list[Measured]] = {}
        for partition in partitions:
            date = series.date(partition.ref)
            position = series.position(date)
            if position is None:
                continue
            for name, (value, unit) in partition.numbers.items():
                of_series.setdefault(name, []).append(Measured(partition.ref, date, position, value))
                units[name] = unit
        for name, numbers in of_series.items():
            numbers.sort(key=lambda one: (one.position, one.ref))
            values.setdefault(name, []).append(numbers)
    names = sorted(values, key=lambda name: (name in _LAST, _LAST.index(name) if name in _LAST else 0, name))
    return tuple(trend(name, units[name], values[name], ref) for name in names[:MAX_TRENDS])


def _schema(
    reader: _PartitionReads, ref: str, data: Sequence[ReportedData], earlier: Sequence[ReportedData]
) -> SchemaComparison | None:
    """Compares the schema of a partition with that of its run before, or else with that of the partition before."""
    schema = schema_of(data[0].metadata) if data else None
    if schema is None:
        return None
    # By time: the ids of builds, by which the history is in order, may be of the caller's choice.
    history = sorted(reader.produced_by(ref, limit=_HISTORY_RUNS), key=lambda run: -run.started_time)
    runs = [run.job_run_id for run in history]
    current = data[0].job_run_id
    before = runs[runs.index(current) + 1 :] if current in runs else []
    schemas = reader.schemas_of(ref, before) if before else {}
    for run in before:
        if run in schemas:
            return SchemaComparison(run, schema_changes(schemas[run], schema))
    for other in earlier:
        if (known := schema_of(other.metadata)) is not None:
            return SchemaComparison(other.ref, schema_changes(known, schema))
    return None
