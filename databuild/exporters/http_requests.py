"""Requests of exporters over HTTP, on one connection for each receiver.

They follow no redirections, so that they go only to the address that was configured.
"""

from __future__ import annotations

import base64
import http.client
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from databuild.tuples import EMPTY, NamedTuple

if TYPE_CHECKING:
    import ssl

_MAX_FAULT: Final = 200
_MAX_BODY: Final = 1024 * 1024
"""The size after which the rest of an answer is not read."""

_PORTS: Final = {"http": 80, "https": 443}
_NOT_QUOTED: Final = "!#$%&'()*+,/:;=?@[]~"

HttpError = http.client.HTTPException
"""An answer is not one of HTTP/1.1, or there is none because the receiver has closed the connection."""


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: The status.
        reason: The words after it.
        body: The body, or its beginning if it is large.
    """

    status: int
    reason: str
    body: bytes


class _Connection(http.client.HTTPConnection):
    """A connection that sends the head and the body of a request together, not with a system call for each."""

    _parts: list[bytes] | None = None

    def post(self, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Sends a request."""
        if self.sock is None:
            self.connect()  # which may send a request of its own to a proxy
        self._parts = []
        try:
            self.request("POST", target, body, headers)
            request = b"".join(self._parts)
        finally:
            self._parts = None
        self.send(request)

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    """A connection with TLS."""


class HttpReceiver:
    """The receiver of requests with one address. Requests follow each other on one connection.

    The proxies of the environment apply, as for `urllib.request`.
    """

    def __init__(self, url: str, headers: Mapping[str, str], context: ssl.SSLContext | None = None) -> None:
        """Connects with the first request.

        Args:
            url: The URL of requests, `http:` or `https:`, with a host.
            headers: Their headers.
            context: The certificates for `https:`; None for the public roots.
        """
        url_with_user = urlsplit(url)
        self._url = url_with_user._replace(netloc=url_with_user.netloc.rpartition("@")[2])
        self._target = _path_of(self._url)
        self._headers: dict[str, str] = {"User-Agent": "databuild", **headers}
        self._context = context
        self._connection: _Connection | None = None

    def post(self, body: bytes, seconds: float, headers: Mapping[str, str] = EMPTY) -> Answer:
        """Sends a request, and returns the answer.

        A receiver may close a connection that was not used for a while. Then it is sent on another one.

        Args:
            body: The body.
            seconds: The time limit of each step: the connection, and each time the receiver sends nothing.
            headers: Further headers of this request.

        Raises:
            OSError: The receiver cannot be reached.
            HttpError: It does not answer as it should.
        """
        if self._connection is not None:
            try:
                return self._sent(self._connection, body, seconds, headers)
            except (http.client.HTTPException, ConnectionError):
                pass
        self._connection = self._connect(seconds)
        return self._sent(self._connection, body, seconds, headers)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(self, connection: _Connection, body: bytes, seconds: float, headers: Mapping[str, str]) -> Answer:
        kept = False
        try:
            if connection.sock is not None:
                connection.sock.settimeout(seconds)
            connection.post(self._target, body, {**self._headers, **headers} if headers else self._headers)
            answer = connection.getresponse()
            read = answer.read(_MAX_BODY)
            if answer.length and len(read) < _MAX_BODY:  # a limited read does not raise it
                raise http.client.IncompleteRead(read, answer.length)
            kept = not answer.will_close and answer.isclosed()
            return Answer(answer.status, answer.reason, read)
        finally:
            if not kept:
                self.close()

    def _connect(self, seconds: float) -> _Connection:
        proxy = _proxy_of(self._url)
        target = proxy or self._url
        try:
            port = _PORTS[target.scheme]
            host, port = target.hostname or "", target.port or port
        except (KeyError, ValueError):
            raise HttpError("the proxy of the environment has no valid address") from None
        authorization = _authorization(proxy) if proxy else {}
        if self._url.scheme == "http":
            if proxy:
                self._target = quote(self._url._replace(fragment="").geturl(), safe=_NOT_QUOTED)
                self._headers.update(authorization)
            return _Connection(host, port, timeout=seconds)
        connection = _SecureConnection(host, port, timeout=seconds, context=self._context)
        if proxy:
            connection.set_tunnel(self._url.hostname or "", self._url.port or _PORTS["https"], authorization)
        return connection


def fault_of(error: BaseException) -> str:
    """Returns the reason why a request had no answer, as a clause without the address, which may be secret."""
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.BadStatusLine):
        return "it does not speak HTTP/1.1"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__)[:_MAX_FAULT]


def _path_of(url: SplitResult) -> str:
    """Returns the path and the query of a URL, as a request names them."""
    return quote(url._replace(scheme="", netloc="", fragment="").geturl(), safe=_NOT_QUOTED) or "/"


def _authorization(proxy: SplitResult) -> dict[str, str]:
    """Returns the header with the user that the address of a proxy contains; empty if there is none."""
    if not proxy.username:
        return {}
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


def _proxy_of(url: SplitResult) -> SplitResult | None:
    """Returns the proxy that the environment names for a URL; None if there is none."""
    # Linux has only the variables, and the import takes 10 ms.
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request

    proxy = urllib.request.getproxies().get(url.scheme)
    if not proxy or urllib.request.proxy_bypass(url.netloc):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")
