"""Connections to an engine: requests with headers that are sent again after transient errors, and long streams.

Streams that wait for processes have connections of their own, because proxies limit the number of streams of a
connection, and a request that waited behind them could not cancel any.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from databuild.channels.address import Address
from databuild.channels.channel_options import credentials_of, options_of
from databuild.channels.request_headers import RequestHeaders
from databuild.executors.reapi.limits import TRANSIENT, Limits, Outage
from databuild.executors.reapi.methods import Method
from databuild.model.client_tls import ClientTls

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)

Call: TypeAlias = "grpc.aio.UnaryStreamCall[Any, _Response]"

_STREAMS_PER_CONNECTION: Final = 100


class _Streams:
    """A connection for streams, and how many it has."""

    __slots__ = ("channel", "count")

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.count = 0


class Connection:
    """Sends requests to an engine.

    Attributes:
        address: The address of the engine.
        limits: Limits on the time that it gets.
        leaves_runs: True if runs continue when the tasks that await them are cancelled.
    """

    def __init__(self, address: Address, headers: RequestHeaders, tls: ClientTls, limits: Limits) -> None:
        """Connects with the first request.

        Raises:
            InvalidRequestError: A file for TLS cannot be read or is missing.
        """
        self.address = address
        self.limits = limits
        self.leaves_runs = False
        self._headers = headers
        self._credentials = credentials_of(tls) if address.tls else None
        self._channel: grpc.aio.Channel | None = None
        self._streams: list[_Streams] = []

    async def call(
        self, method: Method[_Request, _Response], request: _Request, *, seconds: float | None = None
    ) -> _Response:
        """Sends a request, again after transient errors, and returns the response.

        Args:
            method: The method.
            request: The request.
            seconds: The time for the response; None for the default.

        Raises:
            grpc.aio.AioRpcError: The engine refuses the request.
            OutageError: It does not answer.
            CredentialHelperError: There are no headers.
        """
        outage = Outage(self.limits)
        while True:
            try:
                return await self.call_once(method, request, seconds=seconds)
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                await outage.wait(error)

    async def call_once(
        self, method: Method[_Request, _Response], request: _Request, *, seconds: float | None = None
    ) -> _Response:
        """Sends a request once, or twice if the credential helper has other headers, and returns the response.

        Raises:
            grpc.aio.AioRpcError: There is no response.
            CredentialHelperError: There are no headers.
        """

        async def send(metadata: Any) -> _Response:
            call = self._open().unary_unary(method.path, _serialize, method.parse)
            response: _Response = await call(request, timeout=seconds or self.limits.request, metadata=metadata)
            return response

        return await self._with_headers(send)

    async def write(
        self, method: Method[_Request, _Response], requests: Callable[[], AsyncIterator[_Request]]
    ) -> _Response:
        """Sends a stream of requests once, or twice if the credential helper has other headers.

        Raises:
            grpc.aio.AioRpcError: There is no response.
            CredentialHelperError: There are no headers.
        """

        async def send(metadata: Any) -> _Response:
            call = self._open().stream_unary(method.path, _serialize, method.parse)
            response: _Response = await call(requests(), metadata=metadata)
            return response

        return await self._with_headers(send)

    @contextlib.asynccontextmanager
    async def stream(
        self, method: Method[_Request, _Response], request: _Request
    ) -> AsyncIterator[grpc.aio.UnaryStreamCall[_Request, _Response]]:
        """Opens a stream of responses, which may last as long as a process; the end of the context closes it.

        Raises:
            CredentialHelperError: There are no headers.
        """
        metadata = await self._headers.get()
        streams = self._streams_with_room()
        streams.count += 1
        try:
            call = streams.channel.unary_stream(method.path, _serialize, method.parse)(request, metadata=metadata)
            try:
                yield call
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                    self._headers.refuse(metadata)
                raise
            finally:
                call.cancel()
        finally:
            streams.count -= 1

    @property
    def can_renew_headers(self) -> bool:
        """True if a credential helper may have other headers after the engine has refused some."""
        return self._headers.renewable

    async def close(self) -> None:
        """Closes all connections."""
        for streams in self._streams:
            await streams.channel.close()
        self._streams = []
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _with_headers(self, send: Callable[[Any], Awaitable[_Response]]) -> _Response:
        headers = await self._headers.get()
        try:
            return await send(headers)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED or not self._headers.renewable:
                raise
        self._headers.refuse(headers)
        return await send(await self._headers.get())

    def _open(self) -> grpc.aio.Channel:
        # A channel of grpc.aio belongs to the event loop that runs when it is created, so a constructor is too early.
        if self._channel is None:
            self._channel = self._new_channel()
        return self._channel

    def _streams_with_room(self) -> _Streams:
        for streams in self._streams:
            if streams.count < _STREAMS_PER_CONNECTION:
                return streams
        self._streams.append(_Streams(self._new_channel()))
        return self._streams[-1]

    def _new_channel(self) -> grpc.aio.Channel:
        target = self.address.target
        options = options_of(target)
        if self._credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, self._credentials, options)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
