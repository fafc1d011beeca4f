"""Access of the job runs of one build to their task descriptions: a socket, or else a file for each run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from databuild.orchestration.jobs.task_server import SHORT_FOLDER, TaskServer


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
        path = f"{self._folder}/{job_run_id}.task"
        try:
            await self._write(job_run_id, path)
            yield path
        finally:
            _remove(path)

    async def _write(self, job_run_id: str, path: str) -> None:
        parts = self._describe(job_run_id)
        assert parts is not None, job_run_id
        async with contextlib.aclosing(parts):
            try:
                with open(path, "wb") as file:  # noqa: ASYNC230, PTH123 - in parts; the files of logs are written here too
                    async for part in parts:
                        file.write(part)
            except OSError:
                # A job that reads its description will say that the file does not exist. Others need none.
                _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108
