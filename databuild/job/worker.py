"""The `worker` sub-command: one process that serves many requests (docs/workers.md).

Requests and responses are JobRequest and JobResponse messages (proto/databuild/v1/job.proto) on descriptors 3 and 4,
each preceded by its length as a varint, as with Bazel's persistent workers (https://bazel.build/remote/creating). The
end of the requests ends the worker.
"""

from __future__ import annotations

import os
import sys

from databuild.job.answers import ConfigError, ask
from databuild.job.process_state import ProcessState
from databuild.job.program import execute
from databuild.job.run import Run
from databuild.job.wire import (
    WireError,
    configured,
    executed,
    failed,
    greeting,
    parse_request,
    read_framed,
    write_framed,
)

# `typing` and `contextlib` would take a large part of the start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from databuild.job.answers import Config
    from databuild.job.wire import Request

    ConfigFunction = Callable[[Sequence[str]], Iterable[Config]]

try:
    from ctypes import PyDLL

    _flush_c = PyDLL(None).fflush
except (ImportError, OSError, AttributeError):  # pragma: no cover - a Python without ctypes
    _flush_c = None  # type: ignore[assignment]

_NAME = "worker"
_FAILED = 1
_REQUESTS, _RESPONSES = 3, 4


def serve(config: ConfigFunction | None, run: Callable[[Run], None]) -> int:
    """Serves requests until they end, and returns the exit code."""
    process = os.getpid()
    state = ProcessState()
    with os.fdopen(_REQUESTS, "rb") as requests, os.fdopen(_RESPONSES, "wb") as responses:
        # Programs that the job starts get neither of them.
        os.set_inheritable(_REQUESTS, False)
        os.set_inheritable(_RESPONSES, False)
        try:
            write_framed(responses, greeting())
            while (data := read_framed(requests)) is not None:
                response = respond(parse_request(data), config, run, state)
                if os.getpid() != process:
                    # The function has forked, and the child has returned. It must not become a second worker.
                    os._exit(_FAILED)
                write_framed(responses, response)
        except (EOFError, WireError) as error:
            sys.stderr.write(f"{_NAME}: {error}\n")
            return _FAILED
    return 0


def respond(request: Request, config: ConfigFunction | None, run: Callable[[Run], None], state: ProcessState) -> bytes:
    """Serves a request, restores the state, and returns the response. All output of the request is written then."""
    try:
        os.environ.update(request.env)
        return _respond(request, config, run, state.variables)
    finally:
        try:
            _flush()
        finally:
            state.restore()


def _respond(
    request: Request, config: ConfigFunction | None, run: Callable[[Run], None], variables: Mapping[str, str]
) -> bytes:
    if request.kind == "configure" and config is not None:
        sys.stdout = sys.stderr  # as in a process, whose standard output is the answer
        try:
            return configured(request.request_id, ask(config, request.refs))
        except (Exception, SystemExit) as error:
            heading = f"config failed: {type(error).__name__}: {error}"
            if not isinstance(error, ConfigError | SystemExit):
                from databuild.job.failures import print_failure

                print_failure(f"{_NAME}: config failed", error)
            return failed(request.request_id, heading)
    if request.kind == "execute":
        return executed(request.request_id, _execute(request.args, {**variables, **request.env}, run))
    known = "execute" if config is None else "configure or execute"
    return failed(request.request_id, f"got a request that its program does not serve; it serves {known}")


def _execute(args: Sequence[str], environ: Mapping[str, str], run: Callable[[Run], None]) -> int:
    try:
        return execute(run, Run(args, environ), f"{_NAME}: exec failed")
    except SystemExit as stop:
        # As the interpreter would: https://docs.python.org/3/library/exceptions.html#SystemExit
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return _FAILED


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()
    if _flush_c is not None:  # libraries in C have buffers of their own
        _flush_c(None)
