"""What an error means to whoever asked: one table, and one shape."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

import grpc

from databuild import errors
from databuild.v1 import service_pb2 as sv

_Code = grpc.StatusCode
_log = logging.getLogger("databuild.service")


class Meaning(NamedTuple):
    """What an error means to whoever asked.

    Attributes:
        code: The kind of error, for programs; never renamed.
        status: The status over gRPC.
        http: The status over HTTP.
    """

    code: str
    status: grpc.StatusCode
    http: int


# The first row that fits decides, so that special errors stand before general ones.
TABLE: Final[tuple[tuple[type[BaseException], Meaning], ...]] = (
    (errors.BuildNotFoundError, Meaning("BUILD_NOT_FOUND", _Code.NOT_FOUND, 404)),
    (errors.JobRunNotFoundError, Meaning("JOB_RUN_NOT_FOUND", _Code.NOT_FOUND, 404)),
    (errors.JobNotFoundError, Meaning("JOB_NOT_FOUND", _Code.NOT_FOUND, 404)),
    (errors.BuildConflictError, Meaning("BUILD_CONFLICT", _Code.ALREADY_EXISTS, 409)),
    (errors.BuildStateError, Meaning("BUILD_STATE", _Code.FAILED_PRECONDITION, 409)),
    (errors.BuildPrunedError, Meaning("BUILD_PRUNED", _Code.FAILED_PRECONDITION, 410)),
    (errors.AdoptionRefusedError, Meaning("ADOPTION_REFUSED", _Code.FAILED_PRECONDITION, 409)),
    (errors.UnknownPartitionError, Meaning("UNKNOWN_PARTITION", _Code.INVALID_ARGUMENT, 400)),
    (errors.TooManyPartitionsError, Meaning("TOO_MANY_PARTITIONS", _Code.INVALID_ARGUMENT, 400)),
    (errors.InvalidRequestError, Meaning("INVALID_REQUEST", _Code.INVALID_ARGUMENT, 400)),
    (errors.JobConfigurationError, Meaning("JOB_CONFIGURATION", _Code.FAILED_PRECONDITION, 422)),
    (errors.LookupFaultError, Meaning("LOOKUP_FAULT", _Code.FAILED_PRECONDITION, 422)),
    (errors.PlanChangedError, Meaning("PLAN_CHANGED", _Code.FAILED_PRECONDITION, 409)),
    (errors.UnauthenticatedError, Meaning("UNAUTHENTICATED", _Code.UNAUTHENTICATED, 401)),
    (errors.PermissionDeniedError, Meaning("PERMISSION_DENIED", _Code.PERMISSION_DENIED, 403)),
    (errors.RequestTooLargeError, Meaning("REQUEST_TOO_LARGE", _Code.RESOURCE_EXHAUSTED, 413)),
    (errors.OverloadedError, Meaning("OVERLOADED", _Code.RESOURCE_EXHAUSTED, 429)),
    (errors.ShuttingDownError, Meaning("SHUTTING_DOWN", _Code.UNAVAILABLE, 503)),
    (errors.DeadlineExceededError, Meaning("DEADLINE_EXCEEDED", _Code.DEADLINE_EXCEEDED, 504)),
    (errors.SlowReaderError, Meaning("DEADLINE_EXCEEDED", _Code.DEADLINE_EXCEEDED, 504)),
    (errors.EventLogError, Meaning("EVENT_LOG", _Code.UNAVAILABLE, 503)),
    (errors.CoordinationError, Meaning("COORDINATION", _Code.ABORTED, 503)),
    (errors.DataBuildError, Meaning("INTERNAL", _Code.INTERNAL, 500)),
)

_OF_HTTP: Final = {
    404: Meaning("NOT_FOUND", _Code.UNIMPLEMENTED, 404),
    405: Meaning("METHOD_NOT_ALLOWED", _Code.UNIMPLEMENTED, 405),
    415: Meaning("UNSUPPORTED_MEDIA_TYPE", _Code.INVALID_ARGUMENT, 415),
}
"""What only HTTP can get wrong, by status."""

HTTP_STATUSES: Final = tuple(sorted({meaning.http for _, meaning in TABLE} | set(_OF_HTTP)))
"""Every HTTP status of an answer that is none."""

_FAULT: Final = Meaning("INTERNAL", _Code.INTERNAL, 500)
_FAULT_MESSAGE: Final = "a fault of DataBuild itself; the log of the service tells more"


def meaning_of(error: BaseException) -> Meaning:
    """Returns what an error means; anything unforeseen is our fault."""
    if isinstance(error, errors.HttpRequestError):
        return _OF_HTTP[error.status]
    return next((meaning for kind, meaning in TABLE if isinstance(error, kind)), _FAULT)


def report(error: BaseException, request: str) -> None:
    """Writes what was not raised on purpose to the log of the service."""
    if not isinstance(error, errors.DataBuildError):
        _log.error("%s: a fault of DataBuild itself", request, exc_info=error)


def detail_of(error: BaseException) -> sv.ErrorDetail:
    """Returns what is told of an error. Of what was not raised on purpose, nothing is: it may hold anything."""
    meaning = meaning_of(error)
    message = str(error) if isinstance(error, errors.DataBuildError) else _FAULT_MESSAGE
    return sv.ErrorDetail(code=meaning.code, message=message, status=meaning.status.name)
