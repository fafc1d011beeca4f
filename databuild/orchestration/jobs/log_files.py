"""The files that job runs' output is kept in. Imports next to nothing, since `logs` must answer at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.model.records import JobRunRecord

STREAMS = ("stdout", "stderr")


def log_path(log_directory: str, job_run: JobRunRecord, stream: str) -> str:
    """Returns the file that a job run's standard output or standard error is kept in."""
    return f"{log_directory}/{job_run.build_request_id}/{job_run.job_run_id}.{stream}"


def log_size(path: str) -> int:
    """Returns how many bytes a file has; 0 where there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 (pathlib costs 8 ms)
    except FileNotFoundError:
        return 0


def read_log(path: str, offset: int, limit: int = -1) -> bytes:
    """Returns what stands in a file after an offset, at most so many bytes; nothing where there is no file."""
    try:
        if log_size(path) <= offset:
            return b""
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""
