"""Requests of exporters over HTTP/1.1 (RFC 9112): POST only, with few imports and little work for each.

`http.client` takes 100 us of processor time for a request and 15 ms to import, this module a tenth. Redirections are
not followed, so that requests go only to the address that was configured.
"""

from __future__ import annotations

import base64
import os
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from databuild.tuples import EMPTY, NamedTuple

if TYPE_CHECKING:
    import ssl

_MAX_FAULT: Final = 200
_MAX_HEAD: Final = 64 * 1024
"""The maximum size of the status line and the headers of an answer, and of one line in its body."""

_MAX_BODY: Final = 1024 * 1024
"""The size after which the rest of an answer is not read."""

_PIECE: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}
_NOT_QUOTED: Final = "!#$%&'()*+,/:;=?@[]~"
_NO_BODY: Final = frozenset({204, 304})


class HttpError(Exception):
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


class _Connection:
    """A connection on which one request follows the answer to the other."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.kept = False
        self._socket = sock
        self._seconds = seconds
        self._received = b""

    def post(self, request: bytes, seconds: float) -> Answer:
        if seconds != self._seconds:
            self._socket.settimeout(seconds)
            self._seconds = seconds
        self.kept = False
        self._socket.sendall(request)
        return self._answer()

    def open_tunnel(self, host: str, authorization: str) -> None:
        """Makes a proxy forward everything to a host with a port."""
        self._socket.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n".encode("latin-1"))
        status, reason, _ = self._head()
        if not 200 <= status < 300:
            raise HttpError(f"the proxy answers with status {status} {reason}")

    def close(self) -> None:
        self._socket.close()

    def _answer(self) -> Answer:
        status, reason, headers = self._head()
        while status < 200:  # interim answers may precede the final one
            status, reason, headers = self._head()
        kept = headers.get("connection", "").lower() != "close"
        if status in _NO_BODY:
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body, complete = self._chunks()
            kept = kept and complete
        elif (length := headers.get("content-length")) is not None:
            if not length.isdecimal():
                raise HttpError("it answers with an invalid length")
            body = self._take(min(int(length), _MAX_BODY))
            kept = kept and int(length) <= _MAX_BODY
        else:
            body, kept = self._rest(), False
        self.kept = kept
        return Answer(status, reason, body)

    def _head(self) -> tuple[int, str, Mapping[str, str]]:
        """Returns the status, the reason and the headers of the next answer, by name in lower case."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > _MAX_HEAD:
                raise HttpError("the headers of its answer are too long")
            self._receive()
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        self._received = self._received[end + 4 :]
        version, _, rest = first.partition(" ")
        code, _, reason = rest.partition(" ")
        if not (version.startswith("HTTP/1.") and len(code) == 3 and code.isdecimal()):
            raise HttpError("it does not speak HTTP/1.1")
        headers = {"connection": "close"} if version == "HTTP/1.0" else {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(code), reason, headers

    def _chunks(self) -> tuple[bytes, bool]:
        """Returns a body in chunks, and False if it is only the beginning."""
        body = bytearray()
        while size := _size(self._line()):
            body += self._take(min(size, _MAX_BODY))
            if len(body) > _MAX_BODY or size > _MAX_BODY:
                return bytes(body[:_MAX_BODY]), False
            self._line()
        while self._line():  # trailers
            pass
        return bytes(body), True

    def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            if len(self._received) > _MAX_HEAD:
                raise HttpError("a line of its answer is too long")
            self._receive()
        line, self._received = self._received[:end], self._received[end + 2 :]
        return line

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive()
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _rest(self) -> bytes:
        """Returns all that arrives until the receiver closes the connection."""
        while len(self._received) < _MAX_BODY and (received := self._socket.recv(_PIECE)):
            self._received += received
        return self._received

    def _receive(self) -> None:
        received = self._socket.recv(_PIECE)
        if not received:
            raise HttpError("it closed the connection without an answer")
        self._received += received


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
        self._url = urlsplit(url)
        self._context = context
        self._connection: _Connection | None = None
        fields = {"Host": _host(self._url), "User-Agent": "databuild", "Accept-Encoding": "identity", **headers}
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._head = b""

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
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        end = f"{fields}Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        connection = self._connection
        if connection is not None and connection.kept:
            try:
                return self._sent(connection, b"".join((self._head, end, body)), seconds)
            except (HttpError, ConnectionError):
                pass
        connection = self._connect(seconds)
        return self._sent(connection, b"".join((self._head, end, body)), seconds)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(self, connection: _Connection, request: bytes, seconds: float) -> Answer:
        try:
            return connection.post(request, seconds)
        finally:
            if not connection.kept:
                self.close()

    def _connect(self, seconds: float) -> _Connection:
        self.close()
        proxy = _proxy_of(self._url)
        target = proxy or self._url
        try:
            port = _PORTS[target.scheme]
            port = target.port or port
        except (KeyError, ValueError):
            raise HttpError("the proxy of the environment has no valid address") from None
        authorization = _authorization(proxy) if proxy else ""
        secure = self._url.scheme == "https"
        tunnel = secure and proxy is not None
        self._head = self._head_of(None if tunnel else proxy, "" if tunnel else authorization)
        sock = _connected(target.hostname or "", port, seconds)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tunnel:
                host = f"{_bracketed(self._url.hostname or '')}:{self._url.port or _PORTS['https']}"
                _Connection(sock, seconds).open_tunnel(host, authorization)
            if secure or target.scheme == "https":
                name = self._url.hostname if secure else target.hostname
                sock = self._tls().wrap_socket(sock, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        self._connection = _Connection(sock, seconds)
        return self._connection

    def _head_of(self, proxy: SplitResult | None, authorization: str) -> bytes:
        """Returns the part of requests that they have in common."""
        url = self._url._replace(netloc=_host(self._url)) if proxy else self._url._replace(scheme="", netloc="")
        target = quote(url._replace(fragment="").geturl(), safe=_NOT_QUOTED) or "/"
        return f"POST {target} HTTP/1.1\r\n{self._fields}{authorization}".encode("latin-1")

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context()
        return self._context


def fault_of(error: BaseException) -> str:
    """Returns the reason why a request had no answer, as a clause without the address, which may be secret."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__)[:_MAX_FAULT]


def _host(url: SplitResult) -> str:
    """Returns the host and the port, without a user."""
    host = url.netloc.rpartition("@")[2]
    return host if host.isascii() else host.encode("idna").decode()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _connected(host: str, port: int, seconds: float) -> socket.socket:
    # Bytes need no codec for international names, whose import takes 2 ms.
    name = host.encode() if host.isascii() else host
    return socket.create_connection((name, port), seconds)  # type: ignore[arg-type] # it passes any host on


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise HttpError("it answers with an invalid chunk") from None


def _authorization(proxy: SplitResult) -> str:
    """Returns the header with the user that the address of a proxy contains; empty if there is none."""
    if not proxy.username:
        return ""
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"


def _proxy_of(url: SplitResult) -> SplitResult | None:
    """Returns the proxy that the environment names for a URL; None if there is none."""
    # Linux has only the variables, and the import takes 10 ms.
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request

    proxy = urllib.request.getproxies().get(url.scheme)
    if not proxy or urllib.request.proxy_bypass(_host(url)):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")
