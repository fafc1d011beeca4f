"""Job run ids: `BUILD.TASK.ATTEMPT`, such as `20261123T095142Z-7k3f9q.12.1`. The id of a build has no dot."""

from __future__ import annotations

from databuild.tuples import NamedTuple


class JobRunId(NamedTuple):
    """The parts of a job run id; task ids and attempts count from 1."""

    build_request_id: str
    task_id: int
    attempt: int


def format_job_run_id(build_request_id: str, task_id: int, attempt: int) -> str:
    return f"{build_request_id}.{task_id}.{attempt}"


def parse_job_run_id(job_run_id: str) -> JobRunId:
    """Parses a job run id.

    Raises:
        ValueError: The text is not a job run id.
    """
    build_request_id, task_id, attempt = job_run_id.rsplit(".", 2)
    return JobRunId(build_request_id, int(task_id), int(attempt))
