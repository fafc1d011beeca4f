"""The `worker` sub-command: one process that serves many requests.

Requests and responses are JobRequest and JobResponse messages (proto/databuild/v1/job.proto) on stdin and stdout, each
preceded by its length as a varint, as with Bazel's persistent workers
(https://bazel.build/remote/creating). Prints of the job go to stderr. The end of stdin ends the
worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence

from databuild.job.answers import Config, ConfigError, ask
from databuild.job.failures import print_failure
from databuild.job.program import execute
from databuild.job.run import Run
from databuild.job.wire import (
    Request,
    WireError,
    configured,
    executed,
    failed,
    parse_request,
    read_framed,
    write_framed,
)

_NAME = "worker"
_FAILED = 1


def serve(config: Callable[[Sequence[str]], Iterable[Config]], run: Callable[[Run], None]) -> int:
    """Serves requests from stdin until it ends, and returns the exit code."""
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as responses:
        # The descriptors 0 and 1 are replaced, so that neither the job nor its child processes can read requests or
        # write into the responses.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        try:
            while (data := read_framed(requests)) is not None:
                response = respond(parse_request(data), config, run)
                # Prints of this request must be complete before the response: the caller may read them at once.
                sys.stdout.flush()
                sys.stderr.flush()
                write_framed(responses, response)
        except (EOFError, WireError) as error:
            sys.stderr.write(f"{_NAME}: {error}\n")
            return _FAILED
    return 0


def respond(request: Request, config: Callable[[Sequence[str]], Iterable[Config]], run: Callable[[Run], None]) -> bytes:
    if request.kind == "configure":
        try:
            return configured(request.request_id, ask(config, request.refs))
        except (Exception, SystemExit) as error:
            heading = f"config failed: {type(error).__name__}: {error}"
            if not isinstance(error, ConfigError | SystemExit):
                print_failure(f"{_NAME}: config failed", error)
            return failed(request.request_id, heading)
    if request.kind == "execute":
        return executed(request.request_id, _execute(request, run))
    return failed(request.request_id, "the request is neither configure nor execute")


def _execute(request: Request, run: Callable[[Run], None]) -> int:
    before = dict(os.environ)
    os.environ.update(request.env)
    try:
        return execute(run, Run(request.args, dict(os.environ)), f"{_NAME}: exec failed")
    except SystemExit as stop:
        # As the interpreter would: https://docs.python.org/3/library/exceptions.html#SystemExit
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return _FAILED
    finally:
        os.environ.clear()
        os.environ.update(before)
