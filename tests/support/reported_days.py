"""Events of a job that reports rows, a check, a schema and typed values for each day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from databuild.event_log.log import EventLog
from databuild.graph.catalog import Job, JobCatalog
from databuild.job import schema
from databuild.model.results import Success
from databuild.orchestration.events.payloads import job_event, partition_available
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.step_builds import begin

JOB = "//:day"


def dated_catalog(extensions: Mapping[str, Sequence[str]] | None = None) -> JobCatalog:
    """Returns a graph with one job, whose partitions have a date."""
    job = Job(label=JOB, executable=JOB, outputs=("day/{d:date}",), code_digest="1")
    return JobCatalog(graph_label="//:g", jobs={JOB: job}, extensions=extensions or {})


def day(number: int) -> str:
    """Returns the ref of a day, counted from 2026-01-01."""
    return f"day/{dt.date(2026, 1, 1) + dt.timedelta(days=number)}"


async def report_days(log: EventLog, rows: Sequence[float], uri: str = "", **metadata: Any) -> None:
    """Writes one build that produces a day for each number of rows; the last day has another schema.

    Args:
        log: The event log.
        rows: The numbers of rows.
        uri: The location of all days; empty for none.
        metadata: Further metadata of all days.
    """
    refs = [day(number) for number in range(len(rows))]
    one = await begin(log, "20260101T000000Z-days00", *refs)
    for number, (ref, value) in enumerate(zip(refs, rows, strict=True), 1):
        run = f"{one.build_request_id}.{number}.1"
        one.emit_job_scheduled(run, number, JOB)
        one.emit_job_running(run, number, JOB)
        one.emit_partition_building(ref, number, run)
        result = pt.CheckResult(name="has_rows", passed=value > 0, severity=pt.CheckResult.SEVERITY_WARNING, ref=ref)
        one.emit(("check", ev.CheckEvent(job_run_id=run, result=result)))
        ended = job_event(run, number, JOB, ev.JOB_STATUS_COMPLETED)
        ended.duration_seconds = 2.0
        ended.metrics.add(name="read", value=2 * value, unit="bytes")
        one.emit(("job", ended))
        columns = schema({"day": "DATE", "n": "BIGINT"} if number == len(refs) else {"day": "DATE", "n": "INTEGER"})
        place = pt.Location(uri=uri, size_bytes=1024) if uri else None
        await one.emit(
            partition_available(ref, number, run, "", {"rows": value, "columns": columns, **metadata}, place)
        )
    await one.complete_build(Success(jobs_completed=len(refs)))
