"""Log files of job runs on this machine. Imports little, so that the command `logs` starts fast."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.model.records import JobRunRecord

STREAMS = ("stdout", "stderr")

_UNSTORED = ".unstored"
"""The folder of the logs that are not in their store yet. No build has this id, since ids have no dots."""


def log_path(log_directory: str, job_run: JobRunRecord, stream: str, base_log_directory: str = "") -> str:
    """Returns the path of a log on the machine of its orchestrator, where it also is until it is in a store.

    Args:
        log_directory: The folder of the job logs.
        job_run: The job run.
        stream: `stdout` or `stderr`.
        base_log_directory: In an environment, the folder of the job logs of the base, which has those of its builds.
    """
    # The build of an environment makes its folder before it plans.
    if base_log_directory and not os.path.isdir(f"{log_directory}/{job_run.build_request_id}"):  # noqa: PTH112
        log_directory = base_log_directory
    folder = unstored_folder(log_directory) if job_run.log_store else log_directory
    return f"{folder}/{job_run.build_request_id}/{job_run.job_run_id}.{stream}"


def unstored_folder(log_directory: str) -> str:
    """Returns the folder of the logs that are not in their store yet, with one folder for each build."""
    return f"{log_directory}/{_UNSTORED}"


def has_unstored(log_directory: str) -> bool:
    """Returns True if there may be logs that are not in their store yet."""
    return os.path.isdir(unstored_folder(log_directory))  # noqa: PTH112 (pathlib costs 8 ms)


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


def known_size(job_run: JobRunRecord, stream: str) -> int | None:
    """Returns the size of a log in a store as recorded at the end of its job run; None if it was not."""
    return job_run.stdout_bytes if stream == "stdout" else job_run.stderr_bytes
