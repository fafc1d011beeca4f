"""Errors of a Build Event Service: those after which the same requests may succeed later, and those that are final."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from databuild.channels.channel_faults import tls_fault
from databuild.exporters.exporter import ReceiverError

if TYPE_CHECKING:
    from databuild.channels.address import Address

_FINAL: Final = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.OUT_OF_RANGE}
)
"""Codes after which Bazel does not send a stream again either."""

_HINTS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: "it does not accept the credentials; check the headers and the credential helper",
    grpc.StatusCode.PERMISSION_DENIED: "it does not allow this client to use it; check the headers and the instance",
    grpc.StatusCode.UNIMPLEMENTED: "it is no Build Event Service; check the address",
}


class RefusedError(Exception):
    """The service refuses a build for good.

    Args:
        fault: The fault, as a clause.
    """


class AlreadyStoredError(Exception):
    """The service has the whole stream of a build already."""


def error_of(error: grpc.RpcError, address: Address) -> ReceiverError | RefusedError | AlreadyStoredError:
    """Returns the error that a failed call means, with the next step where it is known."""
    code, details = error.code(), error.details() or ""
    text = f"{code.name}: {details}"
    if code is grpc.StatusCode.ALREADY_EXISTS:
        return AlreadyStoredError(text)
    if code in _FINAL:
        return RefusedError(text)
    hint = _HINTS.get(code, "")
    if code is grpc.StatusCode.UNAVAILABLE:
        hint = tls_fault(details, plain="grpc://", secure="grpcs://") or _unavailable_hint(address, details)
    return ReceiverError(f"{hint} ({text})" if hint else text)


def _unavailable_hint(address: Address, details: str) -> str:
    hint = "it cannot be reached; check the address, and that the service runs"
    if not address.tls and "Connection refused" not in details:
        hint += ". If it uses TLS, write grpcs:// instead of grpc://"
    return hint
