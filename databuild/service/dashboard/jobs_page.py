"""The pages `jobs` and `job`, with statistics of recent job runs."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from databuild.graph.patterns import PartitionPattern
from databuild.service.dashboard.calendar_page import calendar, date_field
from databuild.service.dashboard.drawings import plots
from databuild.service.dashboard.site import Visit
from databuild.tuples import NamedTuple
from databuild.v1 import partition_pb2 as pt
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


class CheckRow(NamedTuple):
    """The results of one check over the recent runs.

    Attributes:
        name: The name of the check.
        passed: The number of results that passed.
        failed: The number of results that did not pass.
        results: The results with the states that select their colours, oldest run first.
    """

    name: str
    passed: int
    failed: int
    results: list[tuple[str, sv.JobRunCheck]]


async def jobs(visit: Visit) -> Response:
    """Renders the list of jobs."""
    return visit.page("jobs", jobs=(await visit.call("ListJobs", sv.ListJobsRequest())).jobs)


async def job(visit: Visit) -> Response:
    """Renders the page of a job: its definition, the calendar and plots of its partitions, and its recent runs."""
    label = visit.form.exact("label")
    year = visit.form.number("year")
    detail = await visit.call("GetJob", sv.GetJobRequest(job_label=label, max_job_runs=_MAX_RUNS))
    longest = max((run.duration_seconds for run in detail.job_runs), default=0.0)
    bars = [
        Bar(column, _HEIGHT * run.duration_seconds / longest if longest else 0.0, run)
        for column, run in enumerate(reversed(detail.job_runs))
    ]
    trends = (await visit.call("GetTrends", sv.GetTrendsRequest(job_label=detail.job.job_label))).trends
    dated = next((text for text in detail.job.outputs if date_field(PartitionPattern(text))), "")
    return visit.page(
        "job",
        job=detail.job,
        definition=detail.definition,
        declaration=detail.definition.declaration if detail.definition.HasField("declaration") else None,
        calendar=await calendar(visit, dated, year) if dated else None,
        trends=trends,
        plots=plots(trends),
        checks=check_rows(detail),
        runs=detail.job_runs,
        bars=bars,
        longest=longest,
    )


def check_rows(detail: sv.JobDetail) -> list[CheckRow]:
    """Returns the results of the checks of a job, by name."""
    order = {run.job_run_id: number for number, run in enumerate(reversed(detail.job_runs))}
    by_name: dict[str, list[tuple[str, sv.JobRunCheck]]] = {}
    for check in sorted(detail.checks, key=lambda check: order.get(check.job_run_id, 0)):
        by_name.setdefault(check.result.name, []).append((_state(check.result), check))
    return [
        CheckRow(name, passed := sum(check.result.passed for _, check in results), len(results) - passed, results)
        for name, results in sorted(by_name.items())
    ]


def _state(result: pt.CheckResult) -> str:
    if result.passed:
        return "completed"
    return "failed" if result.severity == pt.CheckResult.SEVERITY_ERROR else "cancelled"
