"""The pages jobs and job: how their newest runs went."""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.responses import Response

from databuild.service.dashboard.site import Visit
from databuild.v1 import service_pb2 as sv

_RUNS: Final = 100
_HEIGHT: Final = 120.0


class Bar(NamedTuple):
    """One job run in the picture of durations: its place from 0, its height in parts of 120, and the run."""

    place: int
    height: float
    run: sv.JobRun


async def jobs(visit: Visit) -> Response:
    """Lists the jobs of the graph."""
    return visit.page("jobs", jobs=(await visit.ask("ListJobs", sv.ListJobsRequest())).jobs)


async def job(visit: Visit) -> Response:
    """Shows a job and its newest runs."""
    label = visit.form.exact("label")
    detail = await visit.ask("GetJob", sv.GetJobRequest(job_label=label, max_job_runs=_RUNS))
    longest = max((run.duration_seconds for run in detail.job_runs), default=0.0)
    bars = [
        Bar(place, _HEIGHT * run.duration_seconds / longest if longest else 0.0, run)
        for place, run in enumerate(reversed(detail.job_runs))
    ]
    return visit.page("job", job=detail.job, runs=detail.job_runs, bars=bars, longest=longest)
