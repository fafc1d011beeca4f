"""The pages `jobs` and `job`, with statistics of recent job runs."""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.responses import Response

from databuild.graph.patterns import PartitionPattern
from databuild.service.dashboard.calendar_page import calendar, date_field
from databuild.service.dashboard.site import Visit
from databuild.v1 import service_pb2 as sv

_MAX_RUNS: Final = 100
_HEIGHT: Final = 120.0


class Bar(NamedTuple):
    """One bar of the chart of durations.

    Attributes:
        column: Position from the left, from 0.
        height: Height in pixels.
        run: The job run.
    """

    column: int
    height: float
    run: sv.JobRun


async def jobs(visit: Visit) -> Response:
    """Renders the list of jobs."""
    return visit.page("jobs", jobs=(await visit.call("ListJobs", sv.ListJobsRequest())).jobs)


async def job(visit: Visit) -> Response:
    """Renders the page of a job: its definition, the calendar of its partitions and its recent runs."""
    label = visit.form.exact("label")
    year = visit.form.number("year")
    detail = await visit.call("GetJob", sv.GetJobRequest(job_label=label, max_job_runs=_MAX_RUNS))
    longest = max((run.duration_seconds for run in detail.job_runs), default=0.0)
    bars = [
        Bar(column, _HEIGHT * run.duration_seconds / longest if longest else 0.0, run)
        for column, run in enumerate(reversed(detail.job_runs))
    ]
    dated = next((text for text in detail.job.outputs if date_field(PartitionPattern(text))), "")
    return visit.page(
        "job",
        job=detail.job,
        definition=detail.definition,
        declaration=detail.definition.declaration if detail.definition.HasField("declaration") else None,
        calendar=await calendar(visit, dated, year) if dated else None,
        runs=detail.job_runs,
        bars=bars,
        longest=longest,
    )
