"""Ids of job runs: `BUILD.TASK.ATTEMPT`, such as `20261123T095142Z-7k3f9q.12.1`.

The id of a build has no dot, so that the parts can be told apart.
"""

from __future__ import annotations

from typing import NamedTuple


class JobRunId(NamedTuple):
    """The parts of an id.

    Attributes:
        build_request_id: The build.
        task_id: The number of the task in the job graph of the build, from 1.
        attempt: Which attempt at the task it is, from 1.
    """

    build_request_id: str
    task_id: int
    attempt: int


def format_job_run_id(build_request_id: str, task_id: int, attempt: int) -> str:
    """Returns the id of an attempt at a task of a build."""
    return f"{build_request_id}.{task_id}.{attempt}"


def parse_job_run_id(job_run_id: str) -> JobRunId:
    """Returns the parts of an id.

    Raises:
        ValueError: It is no id of a job run.
    """
    build_request_id, task_id, attempt = job_run_id.rsplit(".", 2)
    return JobRunId(build_request_id, int(task_id), int(attempt))
