"""The jobs of the graph, with statistics of their newest runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.errors import JobNotFoundError
from databuild.event_log.reads import BuildReads
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model import statuses
from databuild.model.records import CheckRecord, JobRunRecord
from databuild.model.reproduction import Reproduction
from databuild.model.views import JobStatistics
from databuild.orchestration.reproduction.recorded_run import RunReads, describe, read_run
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1 import catalog_pb2
from databuild.v1 import service_pb2 as sv

RECENT_RUNS: Final = 100
"""The number of runs of a job that its statistics cover."""

MAX_CHECKS: Final = 1000
"""The maximum number of results of checks in one answer."""


class Jobs:
    """Queries about jobs."""

    def __init__(self, catalog: JobCatalog, limits: Limits, readers: ReaderPool) -> None:
        self._catalog = catalog
        self._limits = limits
        self._readers = readers

    async def list_jobs(self) -> Sequence[JobStatistics]:
        """Returns all jobs, by label."""

        def query(reader: BuildReads) -> list[JobStatistics]:
            return [
                statistics(job, reader.runs_of_job(label, limit=RECENT_RUNS))
                for label, job in sorted(self._catalog.jobs.items())
            ]

        return await self._readers.read(query)

    async def get(self, label: str, *, limit: int = RECENT_RUNS) -> tuple[JobStatistics, Sequence[JobRunRecord]]:
        """Returns a job and its newest runs, newest first. Runs that never started are left out.

        Raises:
            JobNotFoundError: The graph has no such job.
        """
        full_label = self._catalog.find_job(label)
        if full_label is None:
            raise JobNotFoundError(label, tuple(self._catalog.jobs))
        job = self._catalog.jobs[full_label]
        limit = min(max(limit, 1), self._limits.max_page_rows)
        runs = await self._readers.read(lambda reader: reader.runs_of_job(full_label, limit=max(limit, RECENT_RUNS)))
        return statistics(job, runs[:RECENT_RUNS]), runs[:limit]

    async def checks(self, runs: Sequence[JobRunRecord]) -> Sequence[CheckRecord]:
        """Returns the results of the checks of job runs, at most `MAX_CHECKS`."""
        ids = [run.job_run_id for run in runs]
        return await self._readers.read(lambda reader: reader.checks_of_runs(ids, limit=MAX_CHECKS))

    async def reproduction(self, job_run_id: str) -> Reproduction:
        """Returns what is needed to run a job run again.

        Raises:
            JobRunNotFoundError: There is no such job run.
            BuildPrunedError: The events of its build were pruned.
            InvalidRequestError: It has never started.
        """

        def query(reader: RunReads) -> Reproduction:
            run = read_run(reader, job_run_id)
            return describe(run, reader, self._catalog.jobs.get(run.task.job_label))

        return await self._readers.read(query)


def statistics(job: Job, runs: Sequence[JobRunRecord]) -> JobStatistics:
    """Returns the statistics of runs. Runs that have not ended are not counted."""
    ended = [run for run in runs if run.status in statuses.JOB.ended]
    durations = sorted(run.duration_seconds for run in ended if run.status == "COMPLETED")
    return JobStatistics(
        job_label=job.label,
        outputs=job.outputs,
        tags=job.tags,
        runs=len(ended),
        completed=len(durations),
        failed=sum(run.status == "FAILED" for run in ended),
        median_seconds=_percentile(durations, 50),
        p95_seconds=_percentile(durations, 95),
        last_ended_time=max((run.ended_time for run in ended), default=0.0),
    )


def definition(job: Job) -> sv.JobDefinition:
    """Returns a job without what concerns one machine, such as paths."""
    return sv.JobDefinition(
        declaration=_declaration(job.declaration) if job.declaration is not None else None,
        timeout_seconds=job.timeout_seconds or 0.0,
        retries=job.retry.retries,
        resources=job.resources,
    )


def _declaration(declaration: Declaration) -> catalog_pb2.Declaration:
    return catalog_pb2.Declaration(
        inputs=declaration.inputs,
        optional_inputs=declaration.optional_inputs,
        query_inputs=declaration.query_inputs,
        args=declaration.args,
        env=dict(declaration.env),
        bounds=declaration.bounds,
        batch_size=declaration.batch_size,
        batch_by=declaration.batch_by,
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    """Returns a percentile of sorted values by the nearest-rank method; 0 without values."""
    if not values:
        return 0.0
    rank = -(-len(values) * percent // 100)  # rounded up
    return values[rank - 1]
