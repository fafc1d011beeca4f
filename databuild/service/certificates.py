"""Who a client is by its TLS certificate: the common name of its subject or, without one, its first alternative name.

That the certificate leads to the root of clients, TLS has seen to before anything here is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

NAME_IN_STATE: Final = "certificate_name"
"""Where the state of a request over HTTP has the name, if a certificate was shown."""


class NamingProtocol(H11Protocol):
    """HTTP over a connection that knows the certificate of its client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Notes the name for all requests of the connection."""
        super().connection_made(transport)
        name = name_over_http(transport.get_extra_info("peercert"))
        if name is not None:
            self.app = cast("Any", _named(cast("ASGIApp", self.app), name))


def name_over_http(certificate: Mapping[str, Any] | None) -> str | None:
    """Returns the name in a certificate as `SSLSocket.getpeercert` gives it; None where none was shown."""
    if not certificate:
        return None
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    return _first(
        (value for key, value in subject if key == "commonName"),
        (value for _, value in certificate.get("subjectAltName", ())),
    )


def name_over_grpc(context: Mapping[str, Iterable[bytes]]) -> str | None:
    """Returns the name in the certificate that gRPC tells of a connection; None where none was shown."""
    if "x509_pem_cert" not in context:
        return None
    return _first(
        *(
            (value.decode(errors="replace") for value in context.get(key, ()))
            for key in ("x509_common_name", "x509_subject_alternative_name")
        )
    )


def _first(*names: Iterable[str]) -> str:
    return next((name for some in names for name in some if name), "")


def _named(app: ASGIApp, name: str) -> ASGIApp:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state[NAME_IN_STATE] = name
        await app(scope, receive, send)

    return named
