"""The place of the logs of one build: the state directory, or a store to which they are copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from databuild.orchestration.logs.log_uploads import LogUploads


class BuildLogs(Protocol):
    """The logs of the job runs of one build.

    Attributes:
        folder: The folder of the log files, which the build creates.
        log_store: The URI of the store; empty if the files stay where they are.
    """

    @property
    def folder(self) -> str: ...

    @property
    def log_store(self) -> str: ...

    def begin(self, job_run_id: str, *, resumed: bool) -> None:
        """Expects the logs of a job run from now on; `resumed` if another process may have stored a part of them."""
        ...

    def end(self, job_run_id: str) -> tuple[int, int] | None:
        """Expects no more of the logs of a job run, and returns the sizes of its two streams if they are recorded."""
        ...

    async def finish(self) -> Sequence[str]:
        """Completes the logs after the last job run, which may take a minute, and returns warnings."""
        ...


class LogsInStateDirectory:
    """Logs that stay in the state directory."""

    log_store = ""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def begin(self, job_run_id: str, *, resumed: bool) -> None:
        pass

    def end(self, job_run_id: str) -> None:
        pass

    async def finish(self) -> Sequence[str]:
        return ()


class LogsInStore:
    """Logs that are copied to a store."""

    def __init__(self, uploads: LogUploads, log_store: str, build_request_id: str) -> None:
        self._uploads = uploads
        self._build = build_request_id
        self.log_store = log_store
        self.folder = uploads.folder(build_request_id)

    def begin(self, job_run_id: str, *, resumed: bool) -> None:
        self._uploads.begin(self.log_store, job_run_id, resumed=resumed)

    def end(self, job_run_id: str) -> tuple[int, int]:
        return self._uploads.end(job_run_id)

    async def finish(self) -> Sequence[str]:
        return await self._uploads.finish(self.log_store, self._build)
