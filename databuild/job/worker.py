"""The `worker` sub-command: one process that serves many requests.

Requests and responses are the JobRequest and JobResponse of proto/databuild/v1/job.proto, each preceded by its length
as a varint, on stdin and stdout, as Bazel's persistent workers do. What a job prints meanwhile goes to stderr. The end
of stdin ends the worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from databuild.job.answers import Config, ask
from databuild.job.program import execute
from databuild.job.run import Run
from databuild.v1 import job_pb2, partition_pb2

_CONTINUES = 0x80


def serve(config: Callable[[Sequence[str]], Iterable[Config]], run: Callable[[Run], None]) -> int:
    """Serves the process's stdin and stdout until stdin ends, and returns the exit code."""
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as responses:
        # Nobody else may read requests or write into responses, processes that the job starts included.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        while (request := read_message(requests)) is not None:
            write_message(responses, respond(request, config, run))
    return 0


def respond(
    request: job_pb2.JobRequest, config: Callable[[Sequence[str]], Iterable[Config]], run: Callable[[Run], None]
) -> job_pb2.JobResponse:
    """Returns the response to one request."""
    response = job_pb2.JobResponse(request_id=request.request_id)
    kind = request.WhichOneof("request")
    if kind == "configure":
        try:
            configs = ask(config, [ref.str for ref in request.configure.outputs])
        except (Exception, SystemExit) as error:
            _fail(response, f"config failed: {type(error).__name__}: {error}")
        else:
            response.configure.configs.extend(map(_message, configs))
            response.configure.SetInParent()
    elif kind == "execute":
        response.execute.exit_code = _execute(request.execute, run)
        response.execute.SetInParent()
    else:
        _fail(response, "the request asks for neither configure nor execute")
    return response


def read_message(stream: BinaryIO) -> job_pb2.JobRequest | None:
    """Reads one request; None at the end of the stream.

    Raises:
        EOFError: The stream ends within a message.
    """
    size = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            if shift:
                raise EOFError("the stream of requests ends within a length")
            return None
        size |= (byte[0] & ~_CONTINUES) << shift
        shift += 7
        if byte[0] < _CONTINUES:
            break
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the stream of requests ends within a request")
    return job_pb2.JobRequest.FromString(data)


def write_message(stream: BinaryIO, message: job_pb2.JobRequest | job_pb2.JobResponse) -> None:
    """Writes one message after its length, at once."""
    data = message.SerializeToString()
    size = len(data)
    prefix = bytearray()
    while size >= _CONTINUES:
        prefix.append(size & 0x7F | _CONTINUES)
        size >>= 7
    prefix.append(size)
    stream.write(bytes(prefix) + data)
    stream.flush()


def _execute(request: job_pb2.JobExecuteRequest, run: Callable[[Run], None]) -> int:
    before = dict(os.environ)
    os.environ.update(request.env)
    try:
        return execute(run, Run(request.args, dict(os.environ)), "worker")
    except SystemExit as stop:
        # As the interpreter would: https://docs.python.org/3/library/exceptions.html#SystemExit
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return 1
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.stdout.flush()
        sys.stderr.flush()


def _fail(response: job_pb2.JobResponse, message: str) -> None:
    response.failure.category = partition_pb2.FAILURE_CATEGORY_USER
    response.failure.message = message


def _message(config: Config) -> job_pb2.JobConfig:
    inputs = [(job_pb2.MATERIALIZE, ref) for ref in config.materialize] + [(job_pb2.QUERY, ref) for ref in config.query]
    return job_pb2.JobConfig(
        outputs=[partition_pb2.PartitionRef(str=ref) for ref in config.outputs],
        inputs=[
            job_pb2.DataDep(dep_type_code=kind, partition_ref=partition_pb2.PartitionRef(str=ref))
            for kind, ref in inputs
        ],
        args=config.args,
        env=config.env,
    )
