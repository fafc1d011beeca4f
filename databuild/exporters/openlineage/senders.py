"""Senders of run events, and the one for receivers that only a URL configures.

All other transports are those of the client of OpenLineage (module `client_sender`). It takes a quarter of a second of
CPU time to import, and its requests take ten times as long as those of `http.client`.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import fault_of
from databuild.exporters.openlineage.build_lineage import RunEvent

SEND_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The statuses of HTTP after which a request is sent again. After all others, it is refused."""

_SECONDS: Final = 5.0
"""The time limit of a request: the default of the client of OpenLineage."""


class Sender(Protocol):
    """Sends run events to a receiver."""

    def send(self, event: RunEvent) -> str:
        """Sends a run event, within ten seconds.

        Returns:
            The reason why the receiver refused it for good; empty if it did not.

        Raises:
            ReceiverError: The event has to be sent again.
        """
        ...

    def close(self) -> None:
        """Closes connections."""
        ...


class NullSender:
    """Sends nothing."""

    def send(self, event: RunEvent) -> str:  # noqa: ARG002 (its name in the Protocol)
        return ""

    def close(self) -> None:
        pass


class HttpSender:
    """Sends each run event in one request, over one connection. It follows no redirections."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """Connects with the first event.

        Args:
            url: The URL of requests.
            headers: Their headers, beside `Content-Type`.
        """
        self._url = urlsplit(url)
        self._headers = {"Content-Type": "application/json", **headers}
        self._target = _path_of(self._url)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, event: RunEvent) -> str:
        body = json.dumps(event, separators=(",", ":")).encode()
        if self._connection is not None:
            # A receiver may close a connection that was not used for a while.
            try:
                return self._post(self._connection, body)
            except (http.client.HTTPException, ConnectionError):
                self.close()
        try:
            connection = self._connection = self._connect()
            return self._post(connection, body)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise ReceiverError(fault_of(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        proxy = _proxy_of(self._url)
        target = proxy or self._url
        host, port = target.hostname or "", target.port
        if self._url.scheme == "http":
            self._target = self._url.geturl() if proxy else _path_of(self._url)
            return http.client.HTTPConnection(host, port or 80, timeout=_SECONDS)
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port or 443, timeout=_SECONDS, context=context)
        if proxy:
            connection.set_tunnel(self._url.hostname or "", self._url.port or 443)
        return connection

    def _post(self, connection: http.client.HTTPConnection, body: bytes) -> str:
        connection.request("POST", self._target, body, self._headers)
        answer = connection.getresponse()
        answer.read()
        return refusal_of(answer.status, answer.reason)


def refusal_of(status: int, reason: str) -> str:
    """Returns the reason of a refusal by the status of an answer; empty if it is none.

    Raises:
        ReceiverError: The request has to be sent again.
    """
    if status in SEND_AGAIN:
        raise ReceiverError(f"status {status} ({reason})")
    return "" if 200 <= status < 300 else f"status {status} ({reason})"


def _path_of(url: SplitResult) -> str:
    return url._replace(scheme="", netloc="", fragment="").geturl() or "/"


def _proxy_of(url: SplitResult) -> SplitResult | None:
    """Returns the proxy that the environment names for a URL; None if there is none."""
    proxy = urllib.request.getproxies().get(url.scheme)
    if not proxy or urllib.request.proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")
