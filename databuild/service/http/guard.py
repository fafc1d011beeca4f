"""Checks of every HTTP request before it is handled: its size, its host, its origin, and the requests in progress."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from databuild.errors import DataBuildError, OverloadedError, PermissionDeniedError, RequestTooLargeError
from databuild.service.resources.limits import Limits

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_log = logging.getLogger("databuild.service")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CROSS_SITE: Final = frozenset({"cross-site", "same-site"})
_SECURITY_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)


class Guard:
    """ASGI middleware that refuses unsafe or excessive requests, and adds security headers to all responses.

    Headers that the application has set are kept.

    Args:
        app: The application.
        limits: The limits on requests.
        hosts: The accepted values of the `Host` header, without ports; any value is accepted if empty.
        error_response: Returns the response for an error.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        hosts: Collection[str],
        error_response: Callable[[DataBuildError], ASGIApp],
    ) -> None:
        self._app = app
        self._limits = limits
        self._hosts = frozenset(host.lower() for host in hosts)
        self._error_response = error_response
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server is configured without WebSockets and lifespan events.
        if scope["type"] != "http":
            return
        self._requests += 1
        started = finished = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started, finished
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _SECURITY_HEADERS:
                    headers.setdefault(name, value)
                message["headers"] = headers.raw
            elif message["type"] == "http.response.body":
                finished = not message.get("more_body", False)
            await send(message)

        body = _LimitedBody(receive, self._limits.max_request_bytes)
        try:
            self._check(scope["method"], Headers(scope=scope), scope["scheme"])
            await self._app(scope, body.receive, send_with_headers)
        except DataBuildError as error:
            if started:
                raise
            await self._error_response(error)(scope, receive, send_with_headers)
        except Exception as error:
            # Raising closes the connection, which is how a client tells a truncated response from a complete one.
            if not finished:
                _log.warning("the response to %s %s is truncated: %r", scope["method"], scope["path"], error)
                raise
        finally:
            self._requests -= 1

    def _check(self, method: str, headers: Headers, scheme: str) -> None:
        if self._requests > self._limits.max_requests:
            raise OverloadedError(f"{self._limits.max_requests} requests are in progress")
        host = headers.get("host", "")
        # Against DNS rebinding: another site could resolve its own name to this machine, so that a browser would treat
        # the service as a part of that site.
        if self._hosts and _without_port(host) not in self._hosts:
            message = f"the host {host[:100]!r} is not allowed"
            raise PermissionDeniedError(message).with_remedy("ALLOW_HOST")
        if method not in _SAFE_METHODS and _is_cross_site(headers, host, scheme):
            raise PermissionDeniedError(f"a page of another site may not send {method} requests to this service")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._limits.max_request_bytes:
            raise RequestTooLargeError(self._limits.max_request_bytes)


class _LimitedBody:
    """The body of a request. Counts bytes itself, since a chunked request has no Content-Length."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._received_bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._max_bytes:
            raise RequestTooLargeError(self._max_bytes)
        return message


def is_loopback(host: str) -> bool:
    """Returns True if only this machine can reach a host. Does not resolve names other than `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_cross_site(headers: Headers, host: str, scheme: str) -> bool:
    if headers.get("sec-fetch-site", "none") in _CROSS_SITE:
        return True
    # Browsers that do not send Sec-Fetch-Site send Origin with such requests. Programs send neither.
    origin = headers.get("origin")
    return origin is not None and origin.lower() != f"{scheme}://{host}".lower()
