"""Log files of job runs. Imports little, so that the command `logs` starts fast."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.model.records import JobRunRecord

STREAMS = ("stdout", "stderr")


def log_path(log_directory: str, job_run: JobRunRecord, stream: str) -> str:
    return f"{log_directory}/{job_run.build_request_id}/{job_run.job_run_id}.{stream}"


def log_size(path: str) -> int:
    """Returns the size of a file in bytes; 0 if it does not exist, since job runs without output have no file."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 (pathlib costs 8 ms)
    except FileNotFoundError:
        return 0


def read_log(path: str, offset: int, limit: int = -1) -> bytes:
    """Reads a file from an offset, up to `limit` bytes (-1 for all); returns nothing if it does not exist."""
    try:
        if log_size(path) <= offset:
            return b""
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""
