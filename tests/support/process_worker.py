"""A worker that starts a process for each request: jobs in bash as workers, by the protocol alone.

It is written after docs/workers.md, and shares no code with `databuild.job`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

from google.protobuf import json_format

from databuild.v1 import job_pb2, partition_pb2
from tools.python import child

_PROGRAM = "from tests.support.process_worker import main; main()"


def write_worker(path: Path, script: str = "") -> None:
    """Writes a program that serves requests by processes.

    Args:
        path: The path of the program.
        script: The program of a job, which serves the same requests as processes; empty to take the arguments of a
            request as a command line.
    """
    command = " ".join(f"'{word}'" for word in child.command("-c", _PROGRAM, script))
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def main() -> None:
    script, *words = sys.argv[1:]
    if words != ["worker"]:
        os.execv(script, [script, *words])
    with os.fdopen(3, "rb") as requests, os.fdopen(4, "wb") as responses:
        _write(responses, job_pb2.JobResponse(hello=job_pb2.WorkerHello(protocol_version=1)))
        while (request := _read(requests)) is not None:
            response = _configure(script, request) if request.HasField("configure") else _execute(script, request)
            response.request_id = request.request_id
            _write(responses, response)


def _execute(script: str, request: job_pb2.JobRequest) -> job_pb2.JobResponse:
    words = [script, "exec"] if script else []
    env = {**os.environ, **request.execute.env}
    code = subprocess.run([*words, *request.execute.args], env=env, check=False).returncode
    return job_pb2.JobResponse(execute=job_pb2.JobExecuteResponse(exit_code=code if code >= 0 else 128 - code))


def _configure(script: str, request: job_pb2.JobRequest) -> job_pb2.JobResponse:
    refs = [ref.str for ref in request.configure.outputs]
    env = {**os.environ, **request.configure.env}
    done = subprocess.run([script, "config", *refs], env=env, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        message = f"ended with exit code {done.returncode}"
        failure = partition_pb2.Failure(category=partition_pb2.FAILURE_CATEGORY_USER, message=message)
        return job_pb2.JobResponse(failure=failure)
    return job_pb2.JobResponse(configure=json_format.Parse(done.stdout, job_pb2.JobConfigureResponse()))


def _read(stream: BinaryIO) -> job_pb2.JobRequest | None:
    length = shift = 0
    while byte := stream.read(1):
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return job_pb2.JobRequest.FromString(stream.read(length))
        shift += 7
    return None


def _write(stream: BinaryIO, message: job_pb2.JobResponse) -> None:
    data = message.SerializeToString()
    length = len(data)
    while length >= 0x80:
        stream.write(bytes([length & 0x7F | 0x80]))
        length >>= 7
    stream.write(bytes([length]) + data)
    stream.flush()
