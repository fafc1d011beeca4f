"""The numbers of partitions over time, for requests."""

from __future__ import annotations

from typing import Final

from databuild.errors import InvalidRequestError, JobNotFoundError
from databuild.graph.catalog import JobCatalog
from databuild.model.trends import Trends
from databuild.orchestration.comparisons.trends import job_trends, partition_trends
from databuild.service.resources.reader_pool import ReaderPool

DEFAULT_POINTS: Final = 100
MAX_POINTS: Final = 400
"""The maximum number of points of one trend: a year of days, and more."""


class PartitionTrends:
    """Answers requests for trends."""

    def __init__(self, catalog: JobCatalog, readers: ReaderPool) -> None:
        self._catalog = catalog
        self._readers = readers

    async def get(self, ref: str, job_label: str, max_points: int) -> Trends:
        """Returns the trends of a partition or of a job.

        Args:
            ref: The partition; empty for a job.
            job_label: The job; empty for a partition.
            max_points: The maximum number of points; 0 for the default.

        Raises:
            InvalidRequestError: There is neither a ref nor a job, or both, or the ref is not valid.
            JobNotFoundError: The graph has no such job.
        """
        if bool(ref) == bool(job_label):
            raise InvalidRequestError("the request needs either a ref or a job_label")
        limit = min(max_points or DEFAULT_POINTS, MAX_POINTS)
        if ref:
            self._catalog.check_ref(ref)
            return await self._readers.read(lambda reader: partition_trends(reader, self._catalog, ref, limit))
        label = self._catalog.find_job(job_label)
        if label is None:
            raise JobNotFoundError(job_label, tuple(self._catalog.jobs))
        job = self._catalog.jobs[label]
        return await self._readers.read(lambda reader: job_trends(reader, job, limit))
