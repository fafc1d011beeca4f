"""The meaning of errors of an engine for the run of a process.

The codes are those of google.rpc.Code; the API says which of them `Execute` and its result may have.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import grpc

from databuild.executors.reapi.limits import TRANSIENT
from databuild.executors.reapi.remote_execution_pb2 import PreconditionFailure, Status

_DETAILS: Final = "grpc-status-details-bin"
_MISSING: Final = "MISSING"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Outcome(Enum):
    """The meaning of an error."""

    TIMED_OUT = auto()
    """The process was ended because it exceeded its timeout."""

    INPUTS_MISSING = auto()
    """The process did not start: the engine has lost some of its inputs."""

    RETRY = auto()
    """The engine cannot be reached, or cannot say. A later request may succeed."""

    REFUSED = auto()
    """The engine will never run the process."""

    LOST = auto()
    """Nothing is known of the process."""


_NOT_ACCEPTED: Final = {
    grpc.StatusCode.NOT_FOUND: Outcome.INPUTS_MISSING,
    grpc.StatusCode.FAILED_PRECONDITION: Outcome.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: Outcome.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: Outcome.REFUSED,
    grpc.StatusCode.PERMISSION_DENIED: Outcome.REFUSED,
    grpc.StatusCode.UNAUTHENTICATED: Outcome.REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: Outcome.REFUSED,
    **dict.fromkeys(TRANSIENT, Outcome.RETRY),
}

_ENDED: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome.TIMED_OUT,
    grpc.StatusCode.NOT_FOUND: Outcome.INPUTS_MISSING,
    grpc.StatusCode.FAILED_PRECONDITION: Outcome.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: Outcome.REFUSED,
    grpc.StatusCode.PERMISSION_DENIED: Outcome.REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: Outcome.REFUSED,
}


def code_of(status: Status) -> grpc.StatusCode:
    return _CODES.get(status.code, grpc.StatusCode.UNKNOWN)


def of_request(error: grpc.aio.AioRpcError, *, accepted: bool) -> Outcome:
    """Returns the meaning of an error of the request itself.

    Args:
        error: The error.
        accepted: True if the engine has accepted the process before.
    """
    if accepted:
        return Outcome.RETRY if error.code() in TRANSIENT else Outcome.LOST
    if _names_missing_blobs(_details(error)):
        return Outcome.INPUTS_MISSING
    return _NOT_ACCEPTED.get(error.code(), Outcome.LOST)


def of_operation(status: Status) -> Outcome:
    """Returns the meaning of the error with which an operation ended."""
    if _names_missing_blobs(status):
        return Outcome.INPUTS_MISSING
    return _ENDED.get(code_of(status), Outcome.LOST)


def _names_missing_blobs(status: Status) -> bool:
    if code_of(status) is not grpc.StatusCode.FAILED_PRECONDITION:
        return False
    for detail in status.details:
        if detail.type_url.endswith("/google.rpc.PreconditionFailure"):
            violations = PreconditionFailure.FromString(detail.value).violations
            if any(violation.type == _MISSING for violation in violations):
                return True
    return False


def _details(error: grpc.aio.AioRpcError) -> Status:
    for name, value in error.trailing_metadata() or ():
        if name == _DETAILS and isinstance(value, bytes):
            return Status.FromString(value)
    return Status()
