"""What every request over HTTP goes through first: whether it may come here at all, and how much of it there may be."""

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
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})
_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)


class Guard:
    """Refuses what comes from elsewhere, is too large or too much, and sets headers that keep browsers safe."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        hosts: Collection[str],
        refuse: Callable[[DataBuildError], ASGIApp],
    ) -> None:
        """Takes the application behind it.

        Args:
            app: The application.
            limits: What is allowed.
            hosts: The names under which this may be reached, without ports; none for any.
            refuse: Returns what answers with an error.
        """
        self._app = app
        self._limits = limits
        self._hosts = frozenset(host.lower() for host in hosts)
        self._refuse = refuse
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            return
        self._requests += 1
        answered = finished = False

        async def send_safely(message: Message) -> None:
            nonlocal answered, finished
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS:
                    headers.setdefault(name, value)
                message["headers"] = headers.raw
            elif message["type"] == "http.response.body":
                finished = not message.get("more_body", False)
            await send(message)

        body = _Body(receive, self._limits.max_request_bytes)
        try:
            self._check(scope["method"], Headers(scope=scope), scope["scheme"])
            await self._app(scope, body.receive, send_safely)
        except DataBuildError as error:
            if answered:
                raise
            await self._refuse(error)(scope, receive, send_safely)
        except Exception as error:
            if not finished:  # only a connection that breaks off tells what was begun from a whole answer
                _log.warning("the answer to %s %s breaks off: %r", scope["method"], scope["path"], error)
                raise
        finally:
            self._requests -= 1

    def _check(self, method: str, headers: Headers, scheme: str) -> None:
        if self._requests > self._limits.max_requests:
            raise OverloadedError(f"{self._limits.max_requests} requests are being answered")
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            # A page of another site could have its own name resolve to this machine.
            message = f"this service is not called {host[:100]!r}; --allowed_host adds a name"
            raise PermissionDeniedError(message)
        if method not in _SAFE and _is_of_another_site(headers, host, scheme):
            raise PermissionDeniedError("the request comes from a page of another site")
        if headers.get("content-length", "0").isdigit() and int(headers.get("content-length", "0")) > (
            self._limits.max_request_bytes
        ):
            raise RequestTooLargeError(self._limits.max_request_bytes)


class _Body:
    """The body of a request, which is refused when it has become too large."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._received = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise RequestTooLargeError(self._limit)
        return message


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Returns a host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_of_another_site(headers: Headers, host: str, scheme: str) -> bool:
    if headers.get("sec-fetch-site", "none") in _OTHER_SITES:
        return True
    origin = headers.get("origin")
    return origin is not None and origin.lower() != f"{scheme}://{host}".lower()
