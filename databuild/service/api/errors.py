"""Errors as responses: the gRPC and HTTP status of each error code, and the one message for all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import grpc

from databuild import errors
from databuild.error_codes import CODES, INTERNAL, code_of, facts_of
from databuild.remedies import REQUEST_WORDS, with_remedy
from databuild.tuples import NamedTuple
from databuild.v1 import service_pb2 as sv

_Code = grpc.StatusCode
_log = logging.getLogger("databuild.service")


class Meaning(NamedTuple):
    """An error code with its statuses.

    Attributes:
        code: The kind of error. Clients compare it, so it is never renamed.
        status: The gRPC status.
        http: The HTTP status.
    """

    code: str
    status: grpc.StatusCode
    http: int


STATUSES: Final[Mapping[str, tuple[grpc.StatusCode, int]]] = {
    "UNKNOWN_PARTITION": (_Code.INVALID_ARGUMENT, 400),
    "AMBIGUOUS_PARTITION": (_Code.INVALID_ARGUMENT, 400),
    "INVALID_PATTERN": (_Code.INVALID_ARGUMENT, 400),
    "OVERLAPPING_PATTERNS": (_Code.INVALID_ARGUMENT, 400),
    "DEPENDENCY_CYCLE": (_Code.INVALID_ARGUMENT, 400),
    "INVALID_CATALOG": (_Code.INVALID_ARGUMENT, 400),
    "TOO_MANY_PARTITIONS": (_Code.INVALID_ARGUMENT, 400),
    "NOTHING_DOWNSTREAM": (_Code.INVALID_ARGUMENT, 400),
    "BUILD_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "BUILD_PRUNED": (_Code.FAILED_PRECONDITION, 410),
    "ADOPTION_REFUSED": (_Code.FAILED_PRECONDITION, 409),
    "PROMOTION_REFUSED": (_Code.FAILED_PRECONDITION, 409),
    "ENVIRONMENT_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "ENVIRONMENT_IN_USE": (_Code.FAILED_PRECONDITION, 409),
    "REMOVAL_REFUSED": (_Code.FAILED_PRECONDITION, 409),
    "JOB_RUN_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "JOB_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "BUILD_CONFLICT": (_Code.ALREADY_EXISTS, 409),
    "BUILD_STATE": (_Code.FAILED_PRECONDITION, 409),
    "INVALID_REQUEST": (_Code.INVALID_ARGUMENT, 400),
    "JOB_CONFIGURATION": (_Code.FAILED_PRECONDITION, 422),
    "LOOKUP_FAULT": (_Code.FAILED_PRECONDITION, 422),
    "PLAN_CHANGED": (_Code.FAILED_PRECONDITION, 409),
    "EXECUTOR": (_Code.UNAVAILABLE, 503),
    "STORAGE": (_Code.UNAVAILABLE, 503),
    "OVERLOADED": (_Code.RESOURCE_EXHAUSTED, 429),
    "SHUTTING_DOWN": (_Code.UNAVAILABLE, 503),
    "UNAUTHENTICATED": (_Code.UNAUTHENTICATED, 401),
    "PERMISSION_DENIED": (_Code.PERMISSION_DENIED, 403),
    "REQUEST_TOO_LARGE": (_Code.RESOURCE_EXHAUSTED, 413),
    "DEADLINE_EXCEEDED": (_Code.DEADLINE_EXCEEDED, 504),
    "SLOW_READER": (_Code.DEADLINE_EXCEEDED, 504),
    "SCHEMA_TOO_NEW": (_Code.UNAVAILABLE, 503),
    "EVENT_LOG": (_Code.UNAVAILABLE, 503),
    "COORDINATION": (_Code.ABORTED, 503),
    "PROCESSES_LEFT": (_Code.UNAVAILABLE, 503),
    "INVALID_STATE_TRANSITION": (_Code.INTERNAL, 500),
    "ORCHESTRATION": (_Code.INTERNAL, 500),
    INTERNAL: (_Code.INTERNAL, 500),
}

_HTTP_ONLY: Final = {
    404: Meaning("NOT_FOUND", _Code.UNIMPLEMENTED, 404),
    405: Meaning("METHOD_NOT_ALLOWED", _Code.UNIMPLEMENTED, 405),
    415: Meaning("UNSUPPORTED_MEDIA_TYPE", _Code.INVALID_ARGUMENT, 415),
}
"""Errors that only HTTP has, by status."""

MEANINGS: Final = tuple(Meaning(code, *STATUSES[code]) for _, code in CODES)
"""All codes except those that only HTTP has."""

HTTP_STATUSES: Final = tuple(sorted({meaning.http for meaning in MEANINGS} | set(_HTTP_ONLY)))
"""All HTTP statuses that error responses can have."""

_INTERNAL_MESSAGE: Final = "internal error; see the log of the service"


def meaning_of(error: BaseException) -> Meaning:
    """Returns the meaning of an error. Exceptions other than `DataBuildError` are INTERNAL."""
    if isinstance(error, errors.HttpRequestError):
        return _HTTP_ONLY[error.status]
    code = code_of(error)
    return Meaning(code, *STATUSES[code])


def report(error: BaseException, request: str) -> None:
    """Logs an error with its traceback, unless it is a `DataBuildError`, which is raised on purpose."""
    if not isinstance(error, errors.DataBuildError):
        _log.error("%s: internal error", request, exc_info=error)


def worded_detail_of(error: BaseException) -> sv.ErrorDetail:
    """Returns the detail of an error for people: the message includes the remedy in words."""
    detail = detail_of(error)
    if isinstance(error, errors.DataBuildError):
        detail.message = with_remedy(detail.message, error.remedy, REQUEST_WORDS)
    return detail


def detail_of(error: BaseException, *, max_text: int = 1000, max_items: int = 50) -> sv.ErrorDetail:
    """Returns the detail of an error for programs, which word its remedy themselves.

    The text of an unexpected exception is not included: it could contain secrets.

    Args:
        error: The error.
        max_text: The maximum number of characters of a text in its facts.
        max_items: The maximum number of items of a list in its facts.
    """
    meaning = meaning_of(error)
    message = str(error) if isinstance(error, errors.DataBuildError) else _INTERNAL_MESSAGE
    detail = sv.ErrorDetail(code=meaning.code, message=message, status=meaning.status.name)
    detail.facts.SetInParent()  # set the field even if there are no facts
    detail.facts.update(facts_of(error, max_text=max_text, max_items=max_items))
    return detail
