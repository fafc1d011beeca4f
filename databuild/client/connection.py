"""A connection that outlives the service: what gets lost is asked again for a while, with growing pauses."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from databuild.client.failures import error_of
from databuild.client.transport import Metadata, Transport
from databuild.errors import ServiceUnreachableError

RETRY_TIMEOUT_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 310.0
"""A little longer than the service itself allows an answer to take."""

AUTHOR: Final = "databuild-author"
_MIN_PAUSE_SECONDS: Final = 0.1
_MAX_PAUSE_SECONDS: Final = 3.0


class Backoff:
    """Exponential back-off with jitter, up to a time limit after the first failure."""

    def __init__(self, retry_timeout: float, clock: Callable[[], float]) -> None:
        """Starts with the shortest pause; `retry_timeout` is in seconds from the first failure."""
        self._retry_timeout = retry_timeout
        self._clock = clock
        self._tries = 0
        self._end = 0.0

    def reset(self) -> None:
        """Starts again with the shortest pause, after a success."""
        self._tries = 0

    @property
    def over(self) -> bool:
        """True if the time limit has passed."""
        return self._tries > 0 and self._clock() >= self._end

    def next(self) -> float:
        """Returns the seconds to wait before the next attempt."""
        if not self._tries:
            self._end = self._clock() + self._retry_timeout
        longest = min(_MIN_PAUSE_SECONDS * 2 ** min(self._tries, 10), _MAX_PAUSE_SECONDS)
        self._tries += 1
        return random.uniform(longest / 2, longest)  # noqa: S311 (nothing secret)


class Connection:
    """Asks a service. Who never answered is not waited for."""

    def __init__(
        self,
        transport: Transport,
        *,
        endpoint: str,
        metadata: Metadata,
        retry_timeout: float = RETRY_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes what requests go through.

        Args:
            transport: Sends them.
            endpoint: Where the service is, for messages.
            metadata: What goes with each.
            retry_timeout: The seconds for which a service that has answered before is retried.
            clock: Returns seconds, from any moment on.
        """
        self._transport = transport
        self._endpoint = endpoint
        self._metadata = metadata
        self._retry_timeout = retry_timeout
        self._clock = clock
        self._reached = False

    async def ask(self, method: str, request: Message, *, author: str = "") -> Any:
        """Returns the answer to a request that may be made twice.

        Args:
            method: The RPC.
            request: Its message.
            author: Who asks, where that is another than usual.

        Raises:
            DataBuildError: What the service raised, or that it is not reached.
        """
        backoff = self.backoff()
        while True:
            try:
                answer = await self._transport.ask(method, request, self._metadata_of(author), ANSWER_SECONDS)
            except grpc.RpcError as fault:
                await self._wait_or_raise(fault, backoff)
            else:
                self._reached = True
                return answer

    async def stream(self, method: str, request: Message) -> AsyncGenerator[Any]:
        """Returns the answers to a request, as they come, and asks anew where the stream is cut off.

        Who takes an answer writes into the request where to go on after it.
        """
        backoff = self.backoff()
        while True:
            try:
                async with contextlib.aclosing(self._transport.stream(method, request, self._metadata)) as answers:
                    async for answer in answers:
                        self._reached = True
                        backoff.reset()
                        yield answer
            except grpc.RpcError as fault:
                await self._wait_or_raise(fault, backoff)
            else:
                return

    def backoff(self) -> Backoff:
        """Returns the back-off for one call."""
        return Backoff(self._retry_timeout, self._clock)

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._transport.sleep(seconds)

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._transport.close()

    async def _wait_or_raise(self, fault: grpc.RpcError, backoff: Backoff) -> None:
        error = error_of(fault, self._endpoint, ANSWER_SECONDS)
        if not isinstance(error, ServiceUnreachableError) or not self._reached or backoff.over:
            raise error from None
        await self._transport.sleep(backoff.next())

    def _metadata_of(self, author: str) -> Metadata:
        if not _is_sendable(author):
            return self._metadata
        return (*(pair for pair in self._metadata if pair[0] != AUTHOR), (AUTHOR, author))


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text)


def metadata_of(token: str, author: str, graph: str = "") -> Metadata:
    """Returns what goes with each request: the token, who asks where there is none, and the graph that is meant."""
    sent = [("authorization", f"Bearer {token}")] if token else []
    if _is_sendable(author):
        sent.append((AUTHOR, author))
    if _is_sendable(graph):
        sent.append(("databuild-graph", graph))
    return tuple(sent)
