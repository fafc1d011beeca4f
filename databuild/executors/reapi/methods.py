"""The methods of engines that DataBuild calls.

Code that protoc generates for services would bind them to the names of the messages, which are our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from databuild.executors.reapi import remote_execution_pb2 as api

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[_Request, _Response]):
    """A method of a service.

    Attributes:
        path: Its name in requests.
        parse: Makes a response from bytes.
    """

    path: str
    parse: Callable[[bytes], _Response]


_REAPI: Final = "/build.bazel.remote.execution.v2"

GET_CAPABILITIES: Final[Method[api.GetCapabilitiesRequest, api.ServerCapabilities]] = Method(
    f"{_REAPI}.Capabilities/GetCapabilities", api.ServerCapabilities.FromString
)
FIND_MISSING_BLOBS: Final[Method[api.FindMissingBlobsRequest, api.FindMissingBlobsResponse]] = Method(
    f"{_REAPI}.ContentAddressableStorage/FindMissingBlobs", api.FindMissingBlobsResponse.FromString
)
BATCH_UPDATE_BLOBS: Final[Method[api.BatchUpdateBlobsRequest, api.BatchUpdateBlobsResponse]] = Method(
    f"{_REAPI}.ContentAddressableStorage/BatchUpdateBlobs", api.BatchUpdateBlobsResponse.FromString
)
EXECUTE: Final[Method[api.ExecuteRequest, api.Operation]] = Method(
    f"{_REAPI}.Execution/Execute", api.Operation.FromString
)
WAIT_EXECUTION: Final[Method[api.WaitExecutionRequest, api.Operation]] = Method(
    f"{_REAPI}.Execution/WaitExecution", api.Operation.FromString
)
CANCEL_OPERATION: Final[Method[api.CancelOperationRequest, Empty]] = Method(
    "/google.longrunning.Operations/CancelOperation", Empty.FromString
)
READ: Final[Method[api.ReadRequest, api.ReadResponse]] = Method(
    "/google.bytestream.ByteStream/Read", api.ReadResponse.FromString
)
WRITE: Final[Method[api.WriteRequest, api.WriteResponse]] = Method(
    "/google.bytestream.ByteStream/Write", api.WriteResponse.FromString
)
QUERY_WRITE_STATUS: Final[Method[api.QueryWriteStatusRequest, api.QueryWriteStatusResponse]] = Method(
    "/google.bytestream.ByteStream/QueryWriteStatus", api.QueryWriteStatusResponse.FromString
)
