"""The first answer of an engine: what it can do, or why there is no connection."""

from __future__ import annotations

from typing import Final

import grpc

from databuild.channels.address import Address
from databuild.channels.channel_faults import tls_fault
from databuild.executors.reapi.limits import explain
from databuild.executors.reapi.remote_execution_pb2 import DigestFunction, SemVer, ServerCapabilities

_VERSION: Final = (2, 1)
"""The oldest version of the API with `output_paths`."""

_SHA256: Final = DigestFunction.SHA256


def check_capabilities(capabilities: ServerCapabilities) -> str:
    """Returns why an engine is unsuitable, with the next step; empty if it is suitable."""
    low, high = _version(capabilities.low_api_version), _version(capabilities.high_api_version)
    if high < _VERSION or low[0] > _VERSION[0]:
        return (
            f"it speaks the versions {low[0]}.{low[1]} to {high[0]}.{high[1]} of the Remote Execution API, and "
            f"DataBuild needs {_VERSION[0]}.{_VERSION[1]} or a later 2.x; install another version of the engine"
        )
    execution = capabilities.execution_capabilities
    if not execution.exec_enabled:
        return (
            "it runs no actions for this client; check that the address is that of the execution service and not of a "
            "cache alone, and that the instance and the credentials are those of a user who may execute"
        )
    hashes = {execution.digest_function, *execution.digest_functions} - {DigestFunction.UNKNOWN}
    stored = set(capabilities.cache_capabilities.digest_functions) - {DigestFunction.UNKNOWN}
    if _SHA256 not in (hashes or {_SHA256}) or _SHA256 not in (stored or {_SHA256}):
        return "it does not take SHA-256 digests; configure the engine to use SHA-256"
    return ""


def connection_fault(error: grpc.aio.AioRpcError, address: Address) -> str:
    """Returns why there is no connection, with the next step."""
    details = error.details() or ""
    explained = _BY_CODE.get(error.code(), "")
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        explained = tls_fault(details, plain="reapi://", secure="reapis://")
        if not explained:
            explained = "it cannot be reached; check the address, and that the engine runs"
            if not address.tls:
                explained += ". If it uses TLS, write reapis:// instead of reapi://"
            elif "Connection refused" not in details:
                explained += ". If it wants a client certificate, pass one with its key"
    return f"{explained or 'it does not answer as an engine does; check the address'} ({explain(error)})"


_BY_CODE: Final = {
    grpc.StatusCode.UNAUTHENTICATED: "it does not accept the credentials; check the headers and the credential helper",
    grpc.StatusCode.PERMISSION_DENIED: "it does not allow this client to use it; check the headers and the instance",
    grpc.StatusCode.UNIMPLEMENTED: "it does not speak the Remote Execution API; check the address",
    grpc.StatusCode.INVALID_ARGUMENT: "it does not know the instance; check the path of the address",
    grpc.StatusCode.NOT_FOUND: "it does not know the instance; check the path of the address",
    grpc.StatusCode.DEADLINE_EXCEEDED: "it does not answer in time; check the address, and that the engine runs",
}


def _version(version: SemVer) -> tuple[int, int]:
    return version.major, version.minor
