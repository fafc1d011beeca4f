"""How requests reach a service: the one thing that is done twice, for asyncio and for who waits.

What a client does is written once, as coroutines over a Transport. Those over a BlockingTransport never wait for an
event loop, so that `driving` runs them to their end without one.
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
    """Sends a request to a service; both methods raise `grpc.RpcError`."""

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        """Returns the answer to a request, which may take so long."""
        ...

    def stream(self, method: str, request: Message, metadata: Metadata) -> AsyncGenerator[Any]:
        """Returns the answers to a request, as they come."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    async def close(self) -> None:
        """Lets go of the connection."""
        ...


class _Stub:
    """One attribute for each RPC, as in generated stubs, which refuse a grpcio that is older than they are."""

    def __init__(self, channel: Any) -> None:
        for method in _SERVICE.methods:
            call = channel.unary_stream if method.server_streaming else channel.unary_unary
            request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
            path = f"/{_SERVICE.full_name}/{method.name}"
            setattr(self, method.name, call(path, request.SerializeToString, answer.FromString))


class AsyncTransport:
    """Over asyncio; used from the one event loop that first asks."""

    def __init__(self, endpoint: Endpoint, tls: Tls) -> None:
        self._endpoint = endpoint
        self._credentials = tls.credentials() if endpoint.secure else None
        self._channel: grpc.aio.Channel | None = None

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        """Returns the answer to a request."""
        return await getattr(self._stub(), method)(request, metadata=metadata, timeout=seconds)

    async def stream(self, method: str, request: Message, metadata: Metadata) -> AsyncGenerator[Any]:
        """Returns the answers to a request."""
        call = getattr(self._stub(), method)(request, metadata=metadata)
        try:
            async for answer in call:
                yield answer
        finally:
            call.cancel()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Lets go of the connection."""
        if self._channel is not None:
            await self._channel.close()

    def _stub(self) -> Any:
        if self._channel is None:  # on the event loop that it is used from
            target, options = self._endpoint.target, self._endpoint.options
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(target, options)
            else:
                self._channel = grpc.aio.secure_channel(target, self._credentials, options)
        return _Stub(self._channel)


class BlockingTransport:
    """For who waits; used from any thread."""

    def __init__(self, endpoint: Endpoint, tls: Tls) -> None:
        if endpoint.secure:
            self._channel = grpc.secure_channel(endpoint.target, tls.credentials(), endpoint.options)
        else:
            self._channel = grpc.insecure_channel(endpoint.target, endpoint.options)
        self._stub = _Stub(self._channel)

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        """Returns the answer to a request."""
        return getattr(self._stub, method)(request, metadata=metadata, timeout=seconds)

    async def stream(self, method: str, request: Message, metadata: Metadata) -> AsyncGenerator[Any]:
        """Returns the answers to a request."""
        call = getattr(self._stub, method)(request, metadata=metadata)
        try:
            for answer in call:
                yield answer
        finally:
            call.cancel()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)  # noqa: ASYNC251 (there is no event loop)

    async def close(self) -> None:
        """Lets go of the connection."""
        self._channel.close()
