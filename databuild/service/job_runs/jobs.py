"""The jobs of the graph, and how their newest runs went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.errors import JobNotFoundError
from databuild.event_log.reads import BuildReads
from databuild.graph.catalog import Job, JobCatalog
from databuild.model import statuses
from databuild.model.records import JobRunRecord
from databuild.model.views import JobStatistics
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool

RECENT_RUNS: Final = 100


class Jobs:
    """Answers what is asked about jobs."""

    def __init__(self, catalog: JobCatalog, limits: Limits, readers: ReaderPool) -> None:
        """Takes the jobs, what is allowed, and what reads the event log."""
        self._catalog = catalog
        self._limits = limits
        self._readers = readers

    async def list_jobs(self) -> Sequence[JobStatistics]:
        """Returns all jobs, by label."""

        def ask(reader: BuildReads) -> list[JobStatistics]:
            return [
                statistics(job, reader.runs_of_job(label, limit=RECENT_RUNS))
                for label, job in sorted(self._catalog.jobs.items())
            ]

        return await self._readers.read(ask)

    async def get(self, label: str, *, limit: int = RECENT_RUNS) -> tuple[JobStatistics, Sequence[JobRunRecord]]:
        """Returns a job with its newest runs that were started, newest first.

        Raises:
            JobNotFoundError: The graph has no such job.
        """
        found = self._catalog.find_job(label)
        if found is None:
            raise JobNotFoundError(label, tuple(self._catalog.jobs))
        job = self._catalog.jobs[found]
        limit = min(max(limit, 1), self._limits.max_page_rows)
        runs = await self._readers.read(lambda reader: reader.runs_of_job(found, limit=max(limit, RECENT_RUNS)))
        return statistics(job, runs[:RECENT_RUNS]), runs[:limit]


def statistics(job: Job, runs: Sequence[JobRunRecord]) -> JobStatistics:
    """Returns how runs of a job went, newest first."""
    ended = [run for run in runs if run.status in statuses.JOB.ended]
    seconds = sorted(run.duration_seconds for run in ended if run.status == "COMPLETED")
    return JobStatistics(
        job_label=job.label,
        outputs=job.outputs,
        tags=job.tags,
        runs=len(ended),
        completed=len(seconds),
        failed=sum(run.status == "FAILED" for run in ended),
        median_seconds=_quantile(seconds, 50),
        p95_seconds=_quantile(seconds, 95),
        last_ended_time=max((run.ended_time for run in ended), default=0.0),
    )


def _quantile(values: Sequence[float], percent: int) -> float:
    """Returns the least of sorted values that so many in a hundred do not exceed; 0 where there are none."""
    return values[-(-len(values) * percent // 100) - 1] if values else 0.0
