"""The numbers that job runs reported about the partitions of a series, for trends and for checks of ranges.

A number is a metric about a partition, a number in its metadata, a metric of its run, or its size or the duration of
its run. Of several with one name, the first in this order counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from databuild.event_log.reads import ReportReads
from databuild.graph.series import Series
from databuild.model.records import MetricRecord, ReportedData
from databuild.tuples import NamedTuple

MAX_SCANNED: Final = 2000
"""The maximum number of partitions that are read to find those of a series among others."""

_PAGE: Final = 200


class Measurement(NamedTuple):
    """The numbers of one partition.

    Attributes:
        ref: The partition.
        numbers: Each number with its unit, by name.
    """

    ref: str
    numbers: Mapping[str, tuple[float, str]]


def series_data(reader: ReportReads, series: Series, *, before: str = "", limit: int) -> Sequence[ReportedData]:
    """Returns the data of the partitions of a series that are available, newest date first.

    Reads a number of rows by key that does not grow with the number of partitions.

    Args:
        reader: Reads the event log.
        series: The series.
        before: Only partitions whose ref is smaller; empty for all.
        limit: The maximum number of partitions.
    """
    return list(islice(_available(reader, series, before, limit), limit))


def earlier_measurements(
    reader: ReportReads, series: Series, refs: Sequence[str], limit: int
) -> Mapping[str, Sequence[Measurement]]:
    """Returns the numbers of the partitions before each of some partitions of a series, newest date first.

    Args:
        reader: Reads the event log, once for partitions that follow each other.
        series: The series.
        refs: Partitions of the series, which need not be available.
        limit: The maximum number of earlier partitions of each.
    """
    earlier: dict[str, Sequence[Measurement]] = {}
    remaining = sorted(refs, reverse=True)
    while remaining:
        count = limit + len(remaining) - 1
        known = measured(reader, series_data(reader, series, before=remaining[0], limit=count))
        for ref in remaining:
            before = list(islice((one for one in known if one.ref < ref), limit))
            if len(before) < limit and len(known) == count:
                break  # other partitions lie in between
            earlier[ref] = before
        remaining = [ref for ref in remaining if ref not in earlier]
    return earlier


def measured(reader: ReportReads, reported: Sequence[ReportedData]) -> Sequence[Measurement]:
    """Returns the numbers of partitions, in their order."""
    runs = {data.job_run_id for data in reported if data.job_run_id}
    metrics: dict[str, list[MetricRecord]] = {}
    for metric in reader.metrics_of_runs(sorted(runs)) if runs else ():
        metrics.setdefault(metric.job_run_id, []).append(metric)
    return [Measurement(data.ref, _numbers(data, metrics.get(data.job_run_id, ()))) for data in reported]


def _available(reader: ReportReads, series: Series, before: str, limit: int) -> Iterator[ReportedData]:
    """Yields the available partitions of a series, newest first."""
    scanned = 0
    # Other partitions stand in between only if the date is not the end of the refs.
    page = _PAGE if series.suffix else min(_PAGE, limit + 1)
    while scanned < MAX_SCANNED:
        rows = reader.reported_under(series.prefix, before=before, limit=page)
        for data in rows:
            if data.available and series.date(data.ref):
                yield data
        if len(rows) < page:
            return
        scanned += len(rows)
        before = rows[-1].ref


def _numbers(data: ReportedData, metrics: Sequence[MetricRecord]) -> dict[str, tuple[float, str]]:
    numbers: dict[str, tuple[float, str]] = {}
    if data.location is not None and data.location.size is not None:
        numbers["size"] = float(data.location.size), "bytes"
    if data.job_run_id:
        numbers["duration"] = data.duration_seconds, "s"
    numbers |= {metric.name: (metric.value, metric.unit) for metric in metrics if not metric.ref}
    for name, value in data.metadata.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            numbers[name] = float(value), ""
    numbers |= {metric.name: (metric.value, metric.unit) for metric in metrics if metric.ref == data.ref}
    return numbers
