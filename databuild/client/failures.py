"""What gRPC raises, as what the service raised."""

from __future__ import annotations

import re
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from databuild.error_codes import restore_error
from databuild.errors import DataBuildError, DeadlineExceededError, ServiceError, ServiceUnreachableError
from databuild.remedies import REQUEST_WORDS
from databuild.v1 import service_pb2 as sv

ERROR_METADATA: Final = "databuild-error-bin"
_LOST: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_LAST_ERROR: Final = re.compile(r".*last error: (?:[A-Z_]+: )?(?:ipv\d:\S+: )?", re.DOTALL)


def error_of(fault: Any, endpoint: str, seconds: float) -> DataBuildError:
    """Returns the error that a request ended with.

    Args:
        fault: What gRPC raised.
        endpoint: Where the service is.
        seconds: How long the answer was allowed to take.
    """
    detail = _detail(fault)
    if detail is not None:
        error = restore_error(detail.code, detail.message, MessageToDict(detail.facts))
        if (step := REQUEST_WORDS.get(error.remedy or "")) is not None:
            error.add_note(step)  # shown in tracebacks; the command line words the remedy itself
        return error
    status, said = fault.code(), fault.details() or ""
    if status in _LOST:
        return ServiceUnreachableError(endpoint, _LAST_ERROR.sub("", said) or "the connection was lost")
    if status == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceededError(seconds)
    if status == grpc.StatusCode.UNIMPLEMENTED:
        return ServiceError(
            f"what listens at {endpoint} does not know this request: it is no DataBuild, or an older one"
        )
    return ServiceError(f"the service at {endpoint} refuses the request: {status.name}: {said}")


def _detail(fault: Any) -> sv.ErrorDetail | None:
    for key, value in fault.trailing_metadata() or ():
        if key == ERROR_METADATA:
            try:
                return sv.ErrorDetail.FromString(value)
            except DecodeError:
                return None
    return None
