"""What job runs wrote: pieces of their log files, whole or as they grow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from databuild.errors import InvalidRequestError, JobRunNotFoundError
from databuild.event_log.reads import LogSize
from databuild.model import statuses
from databuild.model.records import JobRunRecord
from databuild.model.views import LogChunk, Room
from databuild.orchestration.jobs.job_logs import bytes_under, logs_pruned_before
from databuild.orchestration.jobs.log_files import STREAMS, log_path, log_size, read_log
from databuild.service.resources.reader_pool import ReaderPool

CHUNK_BYTES: Final = 256 * 1024
_LOOK_SECONDS: Final = 0.25


class Logs:
    """Reads the logs of job runs, which lie on this machine."""

    def __init__(self, log_directory: str, readers: ReaderPool) -> None:
        """Takes the folder that holds one folder of logs for each build, and what reads the event log."""
        self._log_directory = log_directory
        self._readers = readers
        self._closed = False

    async def chunk(self, job_run_id: str, stream: str, *, offset: int = 0, limit: int = CHUNK_BYTES) -> LogChunk:
        """Returns a piece of what a job run wrote.

        Args:
            job_run_id: The job run.
            stream: `stdout` or `stderr`.
            offset: Where to begin, in bytes.
            limit: How many bytes at most.

        Raises:
            JobRunNotFoundError: There is no such job run.
            InvalidRequestError: There is no such stream, or place in it.
        """
        if stream not in STREAMS:
            raise InvalidRequestError(f"{stream!r} is no stream of a job run; there are {' and '.join(STREAMS)}")
        if offset < 0:
            raise InvalidRequestError("a log has nothing before its offset 0")
        limit = min(max(limit, 1), CHUNK_BYTES)
        # Looked up before the file is read: what a job run that has ended wrote is all there.
        job_run = await self._job_run(job_run_id)
        path = log_path(self._log_directory, job_run, stream)
        data, total = await asyncio.to_thread(lambda: (read_log(path, offset, limit), log_size(path)))
        ended = job_run.status in statuses.JOB.ended and len(data) < limit
        return LogChunk(data, offset, ended, path=path, total_bytes=max(total, offset + len(data)))

    async def follow(self, job_run_id: str, stream: str, *, offset: int = 0) -> AsyncGenerator[LogChunk]:
        """Returns what a job run wrote after an offset, then what it goes on to write; ends with the job run.

        It ends early where the service does.
        """
        while not self._closed:
            chunk = await self.chunk(job_run_id, stream, offset=offset)
            if chunk.data or chunk.ended:
                yield chunk
            if chunk.ended:
                return
            offset = chunk.next_offset
            if not chunk.data:
                await asyncio.sleep(_LOOK_SECONDS)

    async def room(self, *, count: bool) -> Room:
        """Returns how much room the event log and the logs take.

        Args:
            count: Whether to look through all of both.
        """

        def measure(reader: LogSize) -> Room:
            before = logs_pruned_before(self._log_directory)
            if not count:
                return Room(reader.size(), 0, None, before)
            sizes = reader.sizes()
            return Room(sizes.bytes, bytes_under(self._log_directory), sizes, before)

        return await self._readers.read(measure)

    def close(self) -> None:
        """Ends all following."""
        self._closed = True

    async def _job_run(self, job_run_id: str) -> JobRunRecord:
        job_run = await self._readers.read(lambda reader: reader.job_run(job_run_id))
        if job_run is None:
            raise JobRunNotFoundError(job_run_id)
        return job_run
