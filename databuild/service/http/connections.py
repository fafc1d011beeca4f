"""HTTP connections: their limit, and the names in the certificates of their clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from databuild.service.access.certificates import CERTIFICATE_NAME_KEY, http_certificate_name


class Connection(H11Protocol):
    """An HTTP connection that enforces a limit, and passes the name in the client certificate to its requests.

    Args:
        args: For uvicorn.
        max_connections: The number of open connections.
        overload_response: The complete HTTP response that a connection above the limit receives before it is closed.
        on_descriptor: Called with the file descriptor of each connection.
        settings: For uvicorn.
    """

    def __init__(
        self,
        *args: Any,
        max_connections: int,
        overload_response: bytes,
        on_descriptor: Callable[[int], None],
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._max_connections = max_connections
        self._overload_response = overload_response
        self._on_descriptor = on_descriptor

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._on_descriptor(transport.get_extra_info("socket").fileno())
        if len(self.connections) > self._max_connections:
            transport.write(self._overload_response)
            transport.close()
            return
        # uvicorn starts this timer after the first response. Without it, a connection that never sends a request would
        # hold its file descriptor forever.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        name = http_certificate_name(transport.get_extra_info("peercert"))
        if name is not None:
            self.app = cast("Any", _with_certificate_name(cast("ASGIApp", self.app), name))


def _with_certificate_name(app: ASGIApp, name: str) -> ASGIApp:
    async def app_with_name(scope: Scope, receive: Receive, send: Send) -> None:
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state[CERTIFICATE_NAME_KEY] = name
        await app(scope, receive, send)

    return app_with_name
