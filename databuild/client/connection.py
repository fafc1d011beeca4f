"""A connection to a service that survives its restarts: it repeats requests that got lost, with growing pauses.

Every request of the client may be repeated; those that start a build carry the id of the new build.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from databuild.client.endpoint import Endpoint, Tls, parse_endpoint
from databuild.client.grpc_errors import error_of
from databuild.client.transport import Metadata, Transport
from databuild.errors import ServiceUnreachableError, ShuttingDownError
from databuild.model.environments import check_environment
from databuild.model.trace_context import TRACEPARENT_VARIABLE
from databuild.user import user_name

DEFAULT_RETRY_TIMEOUT: Final = 60.0
"""In seconds."""

TOKEN_VARIABLE: Final = "DATABUILD_TOKEN"  # noqa: S105 (its name)
DEADLINE_SECONDS: Final = 310.0
"""The maximum time of a response. Longer than that of the service itself, whose error is more precise."""

_AUTHOR: Final = "databuild-author"
_MIN_PAUSE_SECONDS: Final = 0.1
_MAX_PAUSE_SECONDS: Final = 3.0


class Backoff:
    """Pauses between attempts: exponential with jitter, until a timeout.

    Args:
        timeout: The time of attempts after the first failure, in seconds.
        clock: Returns a time in seconds, on any scale.
    """

    def __init__(self, timeout: float, clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._failures = 0
        self._end = 0.0

    def reset(self) -> None:
        """Records a success: the next failure starts the timeout again."""
        self._failures = 0

    @property
    def over(self) -> bool:
        """True if the timeout has passed."""
        return self._failures > 0 and self._clock() >= self._end

    def next_pause(self) -> float:
        """Records a failure, and returns the time until the next attempt in seconds."""
        if not self._failures:
            self._end = self._clock() + self._timeout
        pause = min(_MIN_PAUSE_SECONDS * 2 ** min(self._failures, 10), _MAX_PAUSE_SECONDS)
        self._failures += 1
        # Jitter: without it, all clients would return in the same moment after a restart of the service.
        return random.uniform(pause / 2, pause)  # noqa: S311 (nothing secret)


class Connection:
    """Sends requests to a service.

    A request is repeated only after the service has responded once: a wrong address fails immediately. A service that
    is shutting down counts as one that has gone away, since another may start at its address.

    Args:
        transport: Sends the requests.
        endpoint: The address of the service, for messages of errors.
        metadata: The metadata of each request.
        retry_timeout: The time for which requests are repeated after the service has become unreachable, in seconds.
        clock: Returns a time in seconds, on any scale.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        endpoint: str,
        metadata: Metadata,
        retry_timeout: float = DEFAULT_RETRY_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._metadata = metadata
        self._retry_timeout = retry_timeout
        self._clock = clock
        self._reached = False

    async def ask(self, method: str, request: Message, *, author: str = "") -> Any:
        """Sends a request, again if it got lost, and returns the response.

        Args:
            method: The name of the RPC.
            request: The request.
            author: The author to send with it; empty for that of the connection.

        Raises:
            DataBuildError: The service returned this error.
            ServiceUnreachableError: The service cannot be reached.
            DeadlineExceededError: The response took longer than DEADLINE_SECONDS.
        """
        backoff = self.backoff()
        while True:
            try:
                response = await self._transport.ask(method, request, self._metadata_of(author), DEADLINE_SECONDS)
            except grpc.RpcError as fault:
                await self._pause_or_raise(fault, backoff)
            else:
                self._reached = True
                return response

    async def stream(self, method: str, request: Message) -> AsyncGenerator[Any]:
        """Yields the responses to a request, and sends it again when the stream is cut off.

        The caller updates the request after each response, so that the repeated one continues after it.
        """
        backoff = self.backoff()
        while True:
            try:
                async with contextlib.aclosing(self._transport.stream(method, request, self._metadata)) as responses:
                    async for response in responses:
                        self._reached = True
                        backoff.reset()
                        yield response
            except grpc.RpcError as fault:
                await self._pause_or_raise(fault, backoff)
            else:
                return

    def backoff(self) -> Backoff:
        return Backoff(self._retry_timeout, self._clock)

    async def sleep(self, seconds: float) -> None:
        await self._transport.sleep(seconds)

    async def close(self) -> None:
        await self._transport.close()

    async def _pause_or_raise(self, fault: grpc.RpcError, backoff: Backoff) -> None:
        error = error_of(fault, self._endpoint, DEADLINE_SECONDS)
        if not isinstance(error, (ServiceUnreachableError, ShuttingDownError)) or not self._reached or backoff.over:
            raise error from None
        await self._transport.sleep(backoff.next_pause())

    def _metadata_of(self, author: str) -> Metadata:
        if not _is_sendable(author):
            return self._metadata
        return (*(pair for pair in self._metadata if pair[0] != _AUTHOR), (_AUTHOR, author))


def connect(
    endpoint: str,
    make_transport: Callable[[Endpoint, Tls], Transport],
    *,
    token: str | None,
    author: str | None,
    graph: str,
    environment: str,
    tls: Tls | None,
    retry_timeout: float,
    traceparent: str | None,
) -> Connection:
    """Returns a connection with the given transport. The other arguments are those of `DatabuildClient`.

    Raises:
        InvalidRequestError: The endpoint is not an address of a service, a file cannot be read, or the name of the
            environment is invalid.
    """
    if environment:
        check_environment(environment)
    tls = tls or Tls()
    address = parse_endpoint(endpoint)
    if tls:
        address = Endpoint(target=address.target, secure=True)
    if token is None:
        token = os.environ.get(TOKEN_VARIABLE, "")
    if traceparent is None:
        traceparent = os.environ.get(TRACEPARENT_VARIABLE, "")
    named = user_name(os.environ) if author is None else author
    metadata = metadata_of(token.strip(), named, graph, environment=environment, traceparent=traceparent)
    return Connection(
        make_transport(address, tls), endpoint=str(address), metadata=metadata, retry_timeout=retry_timeout
    )


def metadata_of(token: str, author: str, graph: str = "", *, environment: str = "", traceparent: str = "") -> Metadata:
    """Returns the metadata of requests. A value that metadata cannot carry is left out, but not a token.

    Args:
        token: The token of the caller; empty for none.
        author: The author, whom a service without tokens records.
        graph: The label of the graph that the service must have; empty for any.
        environment: The environment that requests are about; empty for the base.
        traceparent: The trace context of the caller; empty for none.
    """
    metadata = [("authorization", f"Bearer {token}")] if token else []
    if _is_sendable(author):
        metadata.append((_AUTHOR, author))
    if _is_sendable(graph):
        metadata.append(("databuild-graph", graph))
    if environment:
        metadata.append(("databuild-environment", environment))
    if _is_sendable(traceparent):
        metadata.append(("traceparent", traceparent))
    return tuple(metadata)


def _is_sendable(text: str) -> bool:
    """True if gRPC metadata can carry a text: printable ASCII."""
    return text.isascii() and text.isprintable() and bool(text)
