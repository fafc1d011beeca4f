"""The connections of HTTP: how many there may be, and whose they are by their certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from databuild.service.access.certificates import CERTIFICATE_NAME_KEY, http_certificate_name


class Connection(H11Protocol):
    """HTTP over one connection, which knows the certificate of its client, and is closed where there are too many."""

    def __init__(
        self, *args: Any, connections: int, refusal: bytes, saw_descriptor: Callable[[int], None], **settings: Any
    ) -> None:
        """Serves nothing yet.

        Args:
            args: What uvicorn passes.
            connections: How many connections may be open at once.
            refusal: What one too many is answered, as HTTP.
            saw_descriptor: Told the file descriptor of each connection.
            settings: What uvicorn passes.
        """
        super().__init__(*args, **settings)
        self._most = connections
        self._refusal = refusal
        self._saw_descriptor = saw_descriptor

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Notes the name for all requests of the connection."""
        super().connection_made(transport)
        self._saw_descriptor(transport.get_extra_info("socket").fileno())
        if len(self.connections) > self._most:
            transport.write(self._refusal)
            transport.close()
            return
        # A connection without a request takes a file descriptor as well.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        name = http_certificate_name(transport.get_extra_info("peercert"))
        if name is not None:
            self.app = cast("Any", _named(cast("ASGIApp", self.app), name))


def _named(app: ASGIApp, name: str) -> ASGIApp:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state[CERTIFICATE_NAME_KEY] = name
        await app(scope, receive, send)

    return named
