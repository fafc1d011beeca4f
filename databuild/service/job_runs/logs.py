"""The logs of job runs: parts of their files, and files that still grow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from databuild.errors import InvalidRequestError, JobRunNotFoundError
from databuild.event_log.reads import LogSize
from databuild.model import statuses
from databuild.model.records import JobRunRecord
from databuild.model.views import LogChunk, StorageUsage
from databuild.orchestration.logs.log_files import STREAMS, known_size
from databuild.orchestration.logs.log_folders import bytes_under, logs_pruned_before
from databuild.orchestration.logs.stored_logs import LogReader
from databuild.service.resources.reader_pool import ReaderPool

MAX_CHUNK_BYTES: Final = 256 * 1024
_POLL_SECONDS: Final = 0.25


class Logs:
    """Reads the logs of job runs on this machine and in stores.

    Args:
        log_directory: The directory with one subdirectory for each build.
        readers: Read the event log.
        log_reader: Reads the logs.
    """

    def __init__(self, log_directory: str, readers: ReaderPool, log_reader: LogReader) -> None:
        self._log_directory = log_directory
        self._readers = readers
        self._log_reader = log_reader
        self._closed = False

    async def chunk(self, job_run_id: str, stream: str, *, offset: int = 0, limit: int = MAX_CHUNK_BYTES) -> LogChunk:
        """Returns a part of the output of a job run.

        Args:
            job_run_id: The job run.
            stream: `stdout` or `stderr`.
            offset: The first byte.
            limit: The maximum number of bytes.

        Raises:
            JobRunNotFoundError: The job run does not exist.
            StorageError: The store of the log cannot be read.
            InvalidRequestError: The stream does not exist, or the offset is negative.
        """
        if stream not in STREAMS:
            raise InvalidRequestError(f"the stream is {stream!r}; it must be {' or '.join(STREAMS)}")
        if offset < 0:
            raise InvalidRequestError(f"the offset is {offset}; it must be 0 or more")
        limit = min(max(limit, 1), MAX_CHUNK_BYTES)
        # Read the status before the file. If the job run has ended by then, the file is complete.
        job_run = await self._job_run(job_run_id)
        build_ended = bool(job_run.log_store) and await self._has_ended(job_run.build_request_id)
        data, total = await asyncio.to_thread(self._read, job_run, stream, offset, limit)
        ended = job_run.status in statuses.JOB.ended and len(data) < limit
        if ended and job_run.log_store and not build_ended:
            # The end of a log may be stored some time after the end of its job run, but not after that of the build.
            ended = offset + len(data) >= (known_size(job_run, stream) or 0)
        path = self._log_reader.place(job_run, stream)
        return LogChunk(data, offset, ended, path=path, total_bytes=max(total, offset + len(data)))

    async def follow(self, job_run_id: str, stream: str, *, offset: int = 0) -> AsyncGenerator[LogChunk]:
        """Yields the output of a job run from an offset on, and new output as it is written.

        Ends when the job run has ended, or when this object is closed.
        """
        while not self._closed:
            chunk = await self.chunk(job_run_id, stream, offset=offset)
            if chunk.data or chunk.ended:
                yield chunk
            if chunk.ended:
                return
            offset = chunk.next_offset
            if not chunk.data:
                await asyncio.sleep(_POLL_SECONDS)

    async def storage_usage(self, *, count: bool) -> StorageUsage:
        """Returns the size of the event log and of the job logs.

        Args:
            count: Also count builds and events and measure the job logs, which reads all of both.
        """

        def measure(reader: LogSize) -> StorageUsage:
            pruned_before = logs_pruned_before(self._log_directory)
            if not count:
                return StorageUsage(reader.size(), 0, None, pruned_before)
            sizes = reader.sizes()
            return StorageUsage(sizes.bytes, bytes_under(self._log_directory), sizes, pruned_before)

        return await self._readers.read(measure)

    def close(self) -> None:
        """Ends all streams."""
        self._closed = True

    def _read(self, job_run: JobRunRecord, stream: str, offset: int, limit: int) -> tuple[bytes, int]:
        size = known_size(job_run, stream)
        data = self._log_reader.read(job_run, stream, offset, limit)
        return data, size if size is not None else self._log_reader.size(job_run, stream)

    async def _has_ended(self, build_request_id: str) -> bool:
        build = await self._readers.read(lambda reader: reader.build(build_request_id))
        return build is None or build.status in statuses.BUILD.ended

    async def _job_run(self, job_run_id: str) -> JobRunRecord:
        job_run = await self._readers.read(lambda reader: reader.job_run(job_run_id))
        if job_run is None:
            raise JobRunNotFoundError(job_run_id)
        return job_run
