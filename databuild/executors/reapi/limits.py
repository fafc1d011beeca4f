"""Limits on the time that an engine gets to answer, and the back-off while it does not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import grpc

UNREACHABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Codes of an engine that cannot be reached or is overloaded. A later request may succeed."""

TRANSIENT: Final = UNREACHABLE | {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNKNOWN,
}
"""Codes after which a request is sent again. A broken connection has several of them, faults of the engine as well."""

_MAX_FAULTS: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Times in seconds.

    Attributes:
        connect: For the first answer.
        request: For the answer to a request that does not wait for a process.
        reconnect: For the return of an engine that cannot be reached.
        steady: After which a stream that breaks counts as a connection, even if nothing was sent.
        cancel: For the confirmation of a cancellation.
        timeout_margin: For the engine to end a process that is over its timeout, before DataBuild does.
        first_pause: The first pause of the back-off, which doubles.
        longest_pause: Its longest pause.
    """

    connect: float = 20.0
    request: float = 60.0
    reconnect: float = 300.0
    steady: float = 30.0
    cancel: float = 30.0
    timeout_margin: float = 60.0
    first_pause: float = 0.1
    longest_pause: float = 5.0


class OutageError(Exception):
    """An engine did not answer within the limit, or failed too often."""


class Outage:
    """Counts failures of requests and pauses between them.

    Attributes:
        headers_refused: True if the engine has refused the headers since it answered last.
    """

    __slots__ = ("_began", "_faults", "_limits", "_pause", "headers_refused")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.end()

    def end(self) -> None:
        """Notes that the engine has answered."""
        self._began = 0.0
        self._faults = 0
        self._pause = self._limits.first_pause
        self.headers_refused = False

    async def wait(self, error: grpc.aio.AioRpcError) -> None:
        """Pauses before the next request.

        Args:
            error: The transient error of the last request.

        Raises:
            OutageError: The failures have reached the limit.
        """
        await self.wait_after(explain(error), unreachable=error.code() in UNREACHABLE)

    async def wait_after(self, fault: str, *, unreachable: bool = False) -> None:
        """Pauses before the next request.

        Args:
            fault: The fault of the last request, in words.
            unreachable: True if there was no answer.

        Raises:
            OutageError: The failures have reached the limit.
        """
        now = time.monotonic()
        self._began = self._began or now
        self._faults += not unreachable
        if self._faults >= _MAX_FAULTS:
            raise OutageError(f"the engine has failed {self._faults} times: {fault}")
        if now - self._began > self._limits.reconnect:
            raise OutageError(f"the engine has not answered for {self._limits.reconnect:.0f} seconds: {fault}")
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, self._limits.longest_pause)


def explain(error: grpc.aio.AioRpcError) -> str:
    """Returns an error in words."""
    return f"{error.code().name}: {error.details()}"
