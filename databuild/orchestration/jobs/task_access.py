"""Access of the job runs of one build to their task descriptions: a socket, or else a file for each run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Final

from databuild.orchestration.jobs.task_server import SHORT_FOLDER, TaskServer

MAX_BYTES_IN_MEMORY: Final = 4096
"""The largest description that is passed to an engine without a file. Thousands may be in memory at once."""


class TaskAccess:
    """Gives each job run the path of a socket that serves its description.

    If no socket can be made, the path is that of a file with the description, which is written before the run.
    """

    def __init__(
        self,
        describe: Callable[[str], AsyncGenerator[bytes] | None],
        folder: str,
        short_folder: str = SHORT_FOLDER,
    ) -> None:
        """Opens nothing yet.

        Args:
            describe: Returns the parts of the description of a job run; None if there is no such run.
            folder: An existing folder for the socket or the files.
            short_folder: The folder for a socket whose path would be too long there, as for `TaskServer.open`.
        """
        self._describe = describe
        self._folder = folder
        self._short_folder = short_folder
        self._server = TaskServer(describe)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[TaskAccess]:
        """Returns a context in which descriptions can be read."""
        self._server.open(self._folder, self._short_folder)
        try:
            yield self
        finally:
            await self._server.close()

    @property
    def socket(self) -> str:
        """The path of the socket; empty if none could be made."""
        return self._server.path

    @contextlib.asynccontextmanager
    async def file(self, job_run_id: str) -> AsyncIterator[str]:
        """Returns a context in which a job run can read its description from a file, for runs without a socket."""
        path = self._path(job_run_id)
        async with self._parts(job_run_id) as parts:
            try:
                await _write(path, b"", parts)
                yield path
            finally:
                _remove(path)

    @contextlib.asynccontextmanager
    async def content(self, job_run_id: str) -> AsyncIterator[bytes | Path]:
        """Returns a context with a description: its bytes, or the file with it if it is large."""
        path = self._path(job_run_id)
        async with self._parts(job_run_id) as parts:
            beginning = b""
            async for part in parts:
                beginning += part
                if len(beginning) > MAX_BYTES_IN_MEMORY:
                    break
            else:
                yield beginning
                return
            try:
                await _write(path, beginning, parts)
                yield Path(path)
            finally:
                _remove(path)

    def _parts(self, job_run_id: str) -> contextlib.aclosing[AsyncGenerator[bytes]]:
        parts = self._describe(job_run_id)
        assert parts is not None, job_run_id
        return contextlib.aclosing(parts)

    def _path(self, job_run_id: str) -> str:
        return f"{self._folder}/{job_run_id}.task"


async def _write(path: str, beginning: bytes, parts: AsyncGenerator[bytes]) -> None:
    try:
        with open(path, "wb") as file:  # noqa: ASYNC230, PTH123 - in parts; the files of logs are written here too
            file.write(beginning)
            async for part in parts:
                file.write(part)
    except OSError:
        # A job that reads its description will say that the file does not exist. Others need none.
        _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108
