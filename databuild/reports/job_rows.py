"""The tasks of a build in numbers, by job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from databuild.reports.build_report import ReportedTask
from databuild.tuples import NamedTuple


class JobRow(NamedTuple):
    """The tasks of one job in numbers.

    Attributes:
        job_label: The label of the job.
        tasks: The number of its tasks.
        completed: The number of those that completed.
        failed: The number of those whose last attempt failed.
        other: The number of those that did not run, were skipped or cancelled, or still run.
        attempts: The number of its job runs.
        seconds: The run time of all of its job runs together.
    """

    job_label: str
    tasks: int
    completed: int
    failed: int
    other: int
    attempts: int
    seconds: float


def job_rows(tasks: Iterable[ReportedTask]) -> list[JobRow]:
    """Returns a row for each job, in the order in which the tasks first name it."""
    by_label: dict[str, list[ReportedTask]] = defaultdict(list)
    for task in tasks:
        by_label[task.job_label].append(task)
    return [_row(label, of_job) for label, of_job in by_label.items()]


def _row(label: str, tasks: list[ReportedTask]) -> JobRow:
    statuses = [task.status for task in tasks]
    completed, failed = statuses.count("COMPLETED"), statuses.count("FAILED")
    attempts = sum(run.record.attempt > 0 for task in tasks for run in task.runs)
    seconds = sum(task.seconds for task in tasks)
    return JobRow(label, len(tasks), completed, failed, len(tasks) - completed - failed, attempts, seconds)
