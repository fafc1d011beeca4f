"""An engine that speaks the Remote Execution API in this process, runs nothing, and can be made to misbehave."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.limits import Limits
from databuild.executors.reapi.methods import (
    BATCH_UPDATE_BLOBS,
    CANCEL_OPERATION,
    EXECUTE,
    FIND_MISSING_BLOBS,
    GET_CAPABILITIES,
    QUERY_WRITE_STATUS,
    READ,
    WAIT_EXECUTION,
    WRITE,
)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Fault: TypeAlias = tuple[grpc.StatusCode, str]

QUICK = Limits(reconnect=20.0, cancel=20.0, timeout_margin=0.0, first_pause=0.001, longest_pause=0.01)
"""Limits for a client that is near its engine."""

_PIECE_BYTES = 64 * 1024
_STAGE = api.ExecutionStage
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(kw_only=True)
class FakeOperation:
    """An action that was submitted.

    Attributes:
        name: Its name.
        action: The action.
        command: Its command.
        stage: Its stage.
        response: Its end; None while it has not ended.
        changed: Set and replaced at each change.
    """

    name: str
    action: api.Action
    command: api.Command
    stage: int = _STAGE.QUEUED
    response: api.ExecuteResponse | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def salt(self) -> str:
        """The salt of its action."""
        return self.action.salt.decode()


class FakeEngine:
    """An engine on a port of this machine. Actions run when it is told to, or at once.

    A connection may have 100 streams at once, as behind many proxies.

    Attributes:
        blobs: The content of its store, by hash.
        operations: The submitted actions, by name of their operation.
        uploads: The number of blobs that were sent to it.
        largest_batch: The size of the largest batch of blobs.
        metadata: The headers of the last request.
        run: Makes the result of an action.
        holds: True to leave actions in the queue until `start_all` is called.
        runs_forever: True to leave actions running until they are cancelled.
        runs_twice: True to tell another end after the first.
        faults: Errors of the next requests, by the name of the method.
        blob_faults: Errors of the next blobs in batches.
        breaks: The number of streams of operations that break after their first message.
        closes: The number of streams of operations that end in good order after their first message.
        breaks_transfer_after: The number of bytes after which a transfer of a blob breaks; 0 for none.
        ends_transfer_after: The number of bytes after which a read ends in good order; 0 for all.
        output_of_cancelled: The output of actions that were cancelled.
        cancels: False to accept cancellations without ending anything.
        header: A header that each request must have; None for any.
        worker: The name of the machine.
        capabilities: The answer to a request for its capabilities.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {_EMPTY: b""}
        self.operations: dict[str, FakeOperation] = {}
        self.uploads = 0
        self.largest_batch = 0
        self.metadata: dict[str, str] = {}
        self.run: Callable[[FakeOperation], api.ExecuteResponse] = ran
        self.holds = False
        self.runs_forever = False
        self.runs_twice = False
        self.faults: dict[str, list[Fault]] = {}
        self.blob_faults: list[Fault] = []
        self.breaks = 0
        self.closes = 0
        self.breaks_transfer_after = 0
        self.ends_transfer_after = 0
        self.cancels = True
        self.output_of_cancelled = b""
        self.header: tuple[str, str] | None = None
        self.worker = "machine-1"
        self.capabilities = api.ServerCapabilities(
            cache_capabilities=api.CacheCapabilities(digest_functions=[api.DigestFunction.SHA256]),
            execution_capabilities=api.ExecutionCapabilities(
                digest_function=api.DigestFunction.SHA256, exec_enabled=True
            ),
            low_api_version=api.SemVer(major=2),
            high_api_version=api.SemVer(major=2, minor=3),
        )
        self.port = 0
        self._partial: dict[str, bytes] = {}
        self._server: grpc.aio.Server | None = None

    @property
    def uri(self) -> str:
        """The address without TLS."""
        return f"reapi://127.0.0.1:{self.port}/main"

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listens, on the same port as before if there was one."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_concurrent_streams", 100)])
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Ends all streams and closes the port. The operations stay, as those of an engine with a database do."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def start_all(self) -> None:
        """Starts and ends the actions that wait, unless actions run forever."""
        self.holds = False
        for operation in self.operations.values():
            self._advance(operation)

    def queue_again(self, operation: FakeOperation) -> None:
        """Tells that the machine of an action is lost, and that it waits for another."""
        self._change(operation, _STAGE.QUEUED)

    def _advance(self, operation: FakeOperation) -> None:
        if self.holds or operation.response is not None:
            return
        self._change(operation, _STAGE.EXECUTING)
        if not self.runs_forever:
            response = self.run(operation)
            response.result.execution_metadata.worker = self.worker
            self._end(operation, response)

    def _end(self, operation: FakeOperation, response: api.ExecuteResponse) -> None:
        operation.response = response
        self._change(operation, _STAGE.COMPLETED)

    def _change(self, operation: FakeOperation, stage: int) -> None:
        operation.stage = stage
        operation.changed.set()
        operation.changed = asyncio.Event()

    def _missing(self, *digests: api.Digest) -> Iterator[api.Digest]:
        """Yields the blobs below some blobs that are missing, and those themselves."""
        for digest in digests:
            if digest.hash not in self.blobs:
                yield digest

    def _missing_inputs(self, digest: api.Digest) -> Iterator[api.Digest]:
        yield from self._missing(digest)
        if digest.hash in self.blobs:
            directory = api.Directory.FromString(self.blobs[digest.hash])
            yield from self._missing(*(file.digest for file in directory.files))
            for below in directory.directories:
                yield from self._missing_inputs(below.digest)

    async def get_capabilities(self, _: api.GetCapabilitiesRequest, context: Context) -> api.ServerCapabilities:
        return self.capabilities

    async def find_missing_blobs(
        self, request: api.FindMissingBlobsRequest, context: Context
    ) -> api.FindMissingBlobsResponse:
        return api.FindMissingBlobsResponse(missing_blob_digests=self._missing(*request.blob_digests))

    async def batch_update_blobs(
        self, request: api.BatchUpdateBlobsRequest, context: Context
    ) -> api.BatchUpdateBlobsResponse:
        response = api.BatchUpdateBlobsResponse()
        self.largest_batch = max(self.largest_batch, sum(len(blob.data) for blob in request.requests))
        for blob in request.requests:
            if self.blob_faults:
                code, text = self.blob_faults.pop(0)
                response.responses.add(digest=blob.digest, status=api.Status(code=code.value[0], message=text))
                continue
            self._store(blob.digest.hash, blob.data)
            response.responses.add(digest=blob.digest)
        return response

    async def execute(self, request: api.ExecuteRequest, context: Context) -> AsyncIterator[api.Operation]:
        action = api.Action.FromString(self.blobs.get(request.action_digest.hash, b""))
        missing = list(self._missing(request.action_digest))
        if not missing:
            missing = [*self._missing(action.command_digest), *self._missing_inputs(action.input_root_digest)]
        if missing:
            await _abort_missing(context, missing)
        command = api.Command.FromString(self.blobs[action.command_digest.hash])
        operation = FakeOperation(name=f"operations/{len(self.operations)}", action=action, command=command)
        self.operations[operation.name] = operation
        async for state in self._states(operation, context):
            yield state

    async def wait_execution(self, request: api.WaitExecutionRequest, context: Context) -> AsyncIterator[api.Operation]:
        if request.name not in self.operations:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no operation {request.name}")
        async for state in self._states(self.operations[request.name], context):
            yield state

    async def _states(self, operation: FakeOperation, context: Context) -> AsyncIterator[api.Operation]:
        told = operation.stage
        yield _state(operation)
        if self.breaks:
            self.breaks -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the stream broke")
        if self.closes:
            self.closes -= 1
            return
        self._advance(operation)
        while operation.response is None:
            if operation.stage != told:
                told = operation.stage
                yield _state(operation)
                continue
            await operation.changed.wait()
        if self.runs_twice:
            yield _state(operation)
            operation.response = api.ExecuteResponse(result=api.ActionResult(exit_code=99))
        yield _state(operation)

    async def cancel_operation(self, request: api.CancelOperationRequest, context: Context) -> Empty:
        if request.name not in self.operations:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no operation {request.name}")
        if self.cancels:
            cancelled = api.Status(code=grpc.StatusCode.CANCELLED.value[0], message="cancelled")
            result = api.ActionResult(stdout_raw=self.output_of_cancelled)
            self._end(self.operations[request.name], api.ExecuteResponse(status=cancelled, result=result))
        return Empty()

    async def read(self, request: api.ReadRequest, context: Context) -> AsyncIterator[api.ReadResponse]:
        name = request.resource_name.split("/")[-2]
        if name not in self.blobs:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no blob {name}")
        data = self.blobs[name][request.read_offset :]
        end = self.breaks_transfer_after or self.ends_transfer_after or len(data)
        for start in range(0, min(end, len(data)), _PIECE_BYTES):
            yield api.ReadResponse(data=data[start : min(start + _PIECE_BYTES, end)])
        if self.breaks_transfer_after and end < len(data):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the transfer broke")

    async def write(self, requests: AsyncIterator[api.WriteRequest], context: Context) -> api.WriteResponse:
        resource, received, data = "", 0, b""
        async for request in requests:
            if not resource:
                resource = request.resource_name
                data = self._partial.get(resource, b"")
            assert request.write_offset == len(data)
            data += request.data
            received += len(request.data)
            self._partial[resource] = data
            if self.breaks_transfer_after and received >= self.breaks_transfer_after and not request.finish_write:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the transfer broke")
        self._store(resource.split("/")[-2], data)
        return api.WriteResponse(committed_size=len(data))

    async def query_write_status(
        self, request: api.QueryWriteStatusRequest, context: Context
    ) -> api.QueryWriteStatusResponse:
        return api.QueryWriteStatusResponse(committed_size=len(self._partial.get(request.resource_name, b"")))

    def _store(self, name: str, data: bytes) -> None:
        assert hashlib.sha256(data).hexdigest() == name
        self.blobs[name] = data
        self.uploads += 1


def ran(operation: FakeOperation) -> api.ExecuteResponse:
    """Returns the end of an action that prints a line."""
    return api.ExecuteResponse(result=api.ActionResult(stdout_raw=b"ran\n"))


def failed(code: grpc.StatusCode, message: str) -> Callable[[FakeOperation], api.ExecuteResponse]:
    """Returns a function for `FakeEngine.run` with an error of the engine."""
    return lambda operation: api.ExecuteResponse(status=api.Status(code=code.value[0], message=message))


def packed(message: Message, name: str) -> AnyMessage:
    """Returns a message as a value of any type, under its published name."""
    return AnyMessage(type_url=f"type.googleapis.com/{name}", value=message.SerializeToString())


def missing_blobs(*digests: api.Digest) -> api.Status:
    """Returns the error about missing blobs."""
    failure = api.PreconditionFailure()
    for digest in digests:
        failure.violations.add(type="MISSING", subject=f"blobs/{digest.hash}/{digest.size_bytes}")
    return api.Status(
        code=grpc.StatusCode.FAILED_PRECONDITION.value[0],
        message="inputs are missing",
        details=[packed(failure, "google.rpc.PreconditionFailure")],
    )


async def _abort_missing(context: Context, digests: list[api.Digest]) -> None:
    status = missing_blobs(*digests)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, status.message)


def _state(operation: FakeOperation) -> api.Operation:
    partial = api.ExecutedActionMetadata(worker="machine-1" if operation.stage == _STAGE.EXECUTING else "")
    metadata = api.ExecuteOperationMetadata(stage=operation.stage, partial_execution_metadata=partial)  # type: ignore[arg-type]
    state = api.Operation(
        name=operation.name,
        metadata=packed(metadata, "build.bazel.remote.execution.v2.ExecuteOperationMetadata"),
        done=operation.response is not None,
    )
    if operation.response is not None:
        state.response.CopyFrom(packed(operation.response, "build.bazel.remote.execution.v2.ExecuteResponse"))
    return state


_REQUESTS: dict[str, Callable[[bytes], Message]] = {
    GET_CAPABILITIES.path: api.GetCapabilitiesRequest.FromString,
    FIND_MISSING_BLOBS.path: api.FindMissingBlobsRequest.FromString,
    BATCH_UPDATE_BLOBS.path: api.BatchUpdateBlobsRequest.FromString,
    EXECUTE.path: api.ExecuteRequest.FromString,
    WAIT_EXECUTION.path: api.WaitExecutionRequest.FromString,
    CANCEL_OPERATION.path: api.CancelOperationRequest.FromString,
    READ.path: api.ReadRequest.FromString,
    WRITE.path: api.WriteRequest.FromString,
    QUERY_WRITE_STATUS.path: api.QueryWriteStatusRequest.FromString,
}


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the method of the engine for a request."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        name = details.method.rpartition("/")[2]
        self._engine.metadata = {key: value for key, value in details.invocation_metadata if isinstance(value, str)}
        method = getattr(self._engine, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
        fault = self._fault(name)
        codec = {"request_deserializer": _REQUESTS[details.method], "response_serializer": _serialized}
        if name in {"Execute", "WaitExecution", "Read"}:
            return grpc.unary_stream_rpc_method_handler(_refusing_stream(fault) if fault else method, **codec)
        if name == "Write":
            return grpc.stream_unary_rpc_method_handler(_refusing(fault) if fault else method, **codec)
        return grpc.unary_unary_rpc_method_handler(_refusing(fault) if fault else method, **codec)

    def _fault(self, name: str) -> Fault | None:
        header = self._engine.header
        if header is not None and self._engine.metadata.get(header[0]) != header[1]:
            return grpc.StatusCode.UNAUTHENTICATED, "the token is not valid"
        faults = self._engine.faults.get(name)
        return faults.pop(0) if faults else None


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _refusing(fault: Fault) -> Callable[[Any, Context], Any]:
    async def refuse(_: Any, context: Context) -> None:
        await context.abort(*fault)

    return refuse


def _refusing_stream(fault: Fault) -> Callable[[Any, Context], AsyncIterator[Message]]:
    async def refuse(_: Any, context: Context) -> AsyncIterator[Message]:
        await context.abort(*fault)
        yield Empty()

    return refuse
