"""The two ways in which requests reach a service: one for asyncio, and one that blocks.

The rest of the client exists once, as coroutines over a `Transport`. Over a `BlockingTransport` they never wait for an
event loop, so `sync_bridge.py` runs them without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from databuild.client.endpoint import Endpoint, Tls
from databuild.v1 import service_pb2

_SERVICE: Final = service_pb2.DESCRIPTOR.services_by_name["DataBuildService"]

Metadata = tuple[tuple[str, str], ...]


class Transport(Protocol):
    """Sends requests to a service. A `method` is the name of an RPC."""

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        """Sends a request and returns the response.

        Args:
            method: An RPC with one response.
            request: The request.
            metadata: The metadata of the request.
            seconds: The deadline.

        Raises:
            grpc.RpcError: The service returned an error, or did not respond within the deadline.
        """
        ...

    def stream(self, method: str, request: Message, metadata: Metadata) -> AsyncGenerator[Any]:
        """Sends a request to an RPC with many responses, and yields them.

        Raises:
            grpc.RpcError: The service returned an error, or the connection was lost.
        """
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class _Stub:
    """One attribute for each RPC, as in a generated stub.

    A generated stub refuses an older grpcio than that of its generator; this one needs only the messages.
    """

    def __init__(self, channel: Any) -> None:
        for method in _SERVICE.methods:
            call = channel.unary_stream if method.server_streaming else channel.unary_unary
            request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
            path = f"/{_SERVICE.full_name}/{method.name}"
            setattr(self, method.name, call(path, request.SerializeToString, response.FromString))


class AsyncTransport:
    """A transport for asyncio. It belongs to the event loop of its first request."""

    def __init__(self, endpoint: Endpoint, tls: Tls) -> None:
        self._endpoint = endpoint
        self._credentials = tls.credentials() if endpoint.secure else None
        self._channel: grpc.aio.Channel | None = None

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        return await getattr(self._stub(), method)(request, metadata=metadata, timeout=seconds)

    async def stream(self, method: str, request: Message, metadata: Metadata) -> AsyncGenerator[Any]:
        call = getattr(self._stub(), method)(request, metadata=metadata)
        try:
            async for response in call:
                yield response
        finally:
            call.cancel()  # the service stops watching at once if the caller leaves early

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    def _stub(self) -> Any:
        # A channel of grpc.aio belongs to the event loop that runs when it is created, so a constructor is too early.
        if self._channel is None:
            target, options = self._endpoint.target, self._endpoint.options
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(target, options)
            else:
                self._channel = grpc.aio.secure_channel(target, self._credentials, options)
        return _Stub(self._channel)


class BlockingTransport:
    """A transport whose coroutines block the calling thread. It may be used from any thread."""

    def __init__(self, endpoint: Endpoint, tls: Tls) -> None:
        if endpoint.secure:
            self._channel = grpc.secure_channel(endpoint.target, tls.credentials(), endpoint.options)
        else:
            self._channel = grpc.insecure_channel(endpoint.target, endpoint.options)
        self._stub = _Stub(self._channel)

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        return getattr(self._stub, method)(request, metadata=metadata, timeout=seconds)

    async def stream(self, method: str, request: Message, metadata: Metadata) -> AsyncGenerator[Any]:
        call = getattr(self._stub, method)(request, metadata=metadata)
        try:
            for response in call:
                yield response
        finally:
            call.cancel()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 (there is no event loop)

    async def close(self) -> None:
        self._channel.close()
