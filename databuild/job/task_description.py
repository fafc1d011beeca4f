"""Reads the task description of a job run, TaskDescription of proto/databuild/v1/job.proto as JSON.

`DATABUILD_TASK` is the path of a Unix socket that serves the descriptions of a build by HTTP, or of a file that has the
description of this run. Imported only when a job reads it.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Mapping

from databuild.job.partitions import Task

_OK = "200"
_READ_BYTES = 256 * 1024


class TaskDescriptionError(RuntimeError):
    """The task description cannot be read."""


def read_task(environ: Mapping[str, str]) -> Task:
    """Reads the task description of the job run with this environment.

    Raises:
        TaskDescriptionError: There is no task description, or it cannot be read.
    """
    path = environ.get("DATABUILD_TASK", "")
    if not path:
        raise TaskDescriptionError(
            "outputs and inputs are known in a build only, and DATABUILD_TASK is not set. Build a partition of this "
            "job, or pass outputs and inputs to databuild.testing.JobUnderTest in a test"
        )
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - pathlib is slow to import
            text = _fetch(path, environ.get("DATABUILD_JOB_RUN_ID", ""))
        else:
            with open(path, "rb") as file:  # noqa: PTH123
                text = file.read()
    except OSError as error:
        raise TaskDescriptionError(
            f"the task description cannot be read from {path}: {error.strerror}. Its build has ended, or this process "
            "has no access to the files of the build"
        ) from error
    try:
        return Task(json.loads(text))
    except ValueError as error:
        raise TaskDescriptionError(
            f"the task description from {path} is not complete ({error}). If the build ends with an error of its event "
            "log, that is the cause"
        ) from error


def _fetch(path: str, job_run_id: str) -> bytes:
    """Sends the request of a description, and returns the body of the response.

    Raises:
        OSError: The connection failed.
        TaskDescriptionError: The server has no such description.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        connection.sendall(f"GET /job_runs/{job_run_id} HTTP/1.0\r\n\r\n".encode())
        received = []
        while data := connection.recv(_READ_BYTES):
            received.append(data)
    heading, _, body = b"".join(received).partition(b"\r\n\r\n")
    words = heading.decode(errors="replace").split(maxsplit=2)
    if len(words) < 2 or words[1] != _OK:
        answer = body.decode(errors="replace").strip() or "no answer"
        raise TaskDescriptionError(f"the build does not give the task description of {job_run_id!r}: {answer}")
    return body
