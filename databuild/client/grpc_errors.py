"""Converts errors of gRPC to the errors that the service raised."""

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
_CONNECTION_LOST: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
# gRPC wraps the cause, such as `failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:7421: ...`.
_LAST_ERROR: Final = re.compile(r".*last error: (?:[A-Z_]+: )?(?:ipv\d:\S+: )?", re.DOTALL)


def error_of(fault: Any, endpoint: str, seconds: float) -> DataBuildError:
    """Returns the error of a request.

    Args:
        fault: The `grpc.RpcError`, which has the methods of a `grpc.Call`.
        endpoint: The address of the service, for messages.
        seconds: The deadline of the request.
    """
    detail = _detail(fault)
    if detail is not None:
        error = restore_error(detail.code, detail.message, MessageToDict(detail.facts))
        if (step := REQUEST_WORDS.get(error.remedy or "")) is not None:
            error.add_note(step)  # shown in tracebacks; the command line words the remedy itself
        return error
    status, details = fault.code(), fault.details() or ""
    if status in _CONNECTION_LOST:
        return ServiceUnreachableError(endpoint, _LAST_ERROR.sub("", details) or "the connection was lost")
    if status == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceededError(seconds)
    if status == grpc.StatusCode.UNIMPLEMENTED:
        return ServiceError(
            f"the server at {endpoint} does not know this request: it is not DataBuild, or an older version"
        )
    return ServiceError(f"the service at {endpoint} refuses the request: {status.name}: {details}")


def _detail(fault: Any) -> sv.ErrorDetail | None:
    for key, value in fault.trailing_metadata() or ():
        if key == ERROR_METADATA:
            try:
                return sv.ErrorDetail.FromString(value)
            except DecodeError:  # not the metadata of a DataBuild service
                return None
    return None
