"""What an error means to whoever asked: one table of statuses over the one of codes, and one shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

import grpc

from databuild import errors
from databuild.error_codes import CODES, INTERNAL, code_of, facts_of
from databuild.remedies import REQUEST_WORDS, with_remedy
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


STATUSES: Final[Mapping[str, tuple[grpc.StatusCode, int]]] = {
    "UNKNOWN_PARTITION": (_Code.INVALID_ARGUMENT, 400),
    "AMBIGUOUS_PARTITION": (_Code.INVALID_ARGUMENT, 400),
    "INVALID_PATTERN": (_Code.INVALID_ARGUMENT, 400),
    "OVERLAPPING_PATTERNS": (_Code.INVALID_ARGUMENT, 400),
    "DEPENDENCY_CYCLE": (_Code.INVALID_ARGUMENT, 400),
    "INVALID_CATALOG": (_Code.INVALID_ARGUMENT, 400),
    "TOO_MANY_PARTITIONS": (_Code.INVALID_ARGUMENT, 400),
    "BUILD_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "BUILD_PRUNED": (_Code.FAILED_PRECONDITION, 410),
    "ADOPTION_REFUSED": (_Code.FAILED_PRECONDITION, 409),
    "JOB_RUN_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "JOB_NOT_FOUND": (_Code.NOT_FOUND, 404),
    "BUILD_CONFLICT": (_Code.ALREADY_EXISTS, 409),
    "BUILD_STATE": (_Code.FAILED_PRECONDITION, 409),
    "INVALID_REQUEST": (_Code.INVALID_ARGUMENT, 400),
    "JOB_CONFIGURATION": (_Code.FAILED_PRECONDITION, 422),
    "LOOKUP_FAULT": (_Code.FAILED_PRECONDITION, 422),
    "PLAN_CHANGED": (_Code.FAILED_PRECONDITION, 409),
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

_OF_HTTP: Final = {
    404: Meaning("NOT_FOUND", _Code.UNIMPLEMENTED, 404),
    405: Meaning("METHOD_NOT_ALLOWED", _Code.UNIMPLEMENTED, 405),
    415: Meaning("UNSUPPORTED_MEDIA_TYPE", _Code.INVALID_ARGUMENT, 415),
}
"""What only HTTP can get wrong, by status."""

MEANINGS: Final = tuple(Meaning(code, *STATUSES[code]) for _, code in CODES)
"""What each code means."""

HTTP_STATUSES: Final = tuple(sorted({meaning.http for meaning in MEANINGS} | set(_OF_HTTP)))
"""Every HTTP status of an answer that is none."""

_FAULT_MESSAGE: Final = "a fault of DataBuild itself; the log of the service tells more"


def meaning_of(error: BaseException) -> Meaning:
    """Returns what an error means; anything unforeseen is our fault."""
    if isinstance(error, errors.HttpRequestError):
        return _OF_HTTP[error.status]
    code = code_of(error)
    return Meaning(code, *STATUSES[code])


def report(error: BaseException, request: str) -> None:
    """Writes what was not raised on purpose to the log of the service."""
    if not isinstance(error, errors.DataBuildError):
        _log.error("%s: a fault of DataBuild itself", request, exc_info=error)


def worded_detail_of(error: BaseException) -> sv.ErrorDetail:
    """Returns `detail_of` an error for people, who cannot word its remedy themselves as programs do."""
    detail = detail_of(error)
    if isinstance(error, errors.DataBuildError):
        detail.message = with_remedy(detail.message, error.remedy, REQUEST_WORDS)
    return detail


def detail_of(error: BaseException, *, max_text: int = 1000, max_items: int = 50) -> sv.ErrorDetail:
    """Returns what is told of an error. Of what was not raised on purpose, nothing is: it may hold anything.

    Args:
        error: The error.
        max_text: How many characters of each of its facts are told.
        max_items: How many items of each of its facts are told.
    """
    meaning = meaning_of(error)
    message = str(error) if isinstance(error, errors.DataBuildError) else _FAULT_MESSAGE
    detail = sv.ErrorDetail(code=meaning.code, message=message, status=meaning.status.name)
    detail.facts.SetInParent()  # there, although it may be empty
    detail.facts.update(facts_of(error, max_text=max_text, max_items=max_items))
    return detail
