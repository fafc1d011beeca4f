"""The request to a worker that stands for a process of a job."""

from __future__ import annotations

from collections.abc import Sequence

from databuild.executors.executor import WorkerSpec
from databuild.graph.catalog import Job


def worker_spec(job: Job, arguments: Sequence[str], *, configure: bool = False) -> WorkerSpec | None:
    """Returns the request to a worker of a job; None if the job has no workers.

    Args:
        job: The job.
        arguments: The arguments of a run, or the refs to configure.
        configure: True to ask for the configurations of refs, False for a run.
    """
    if job.worker is None:
        return None
    return WorkerSpec(
        # The label keeps jobs with the same program apart.
        env={**job.environment, "DATABUILD_JOB_LABEL": job.label},
        code_digest=job.code_digest,
        arguments=arguments,
        configure=configure,
        max_requests=job.worker.max_requests,
        max_memory_bytes=job.worker.max_memory_bytes,
    )
