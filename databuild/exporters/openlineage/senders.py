"""Senders of run events, and the one for receivers that only a URL configures.

All other transports are those of the client of OpenLineage (module `client_sender`). It takes a quarter of a second of
CPU time to import, and its requests take ten times as long as those of `http.client`.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import fault_of
from databuild.exporters.openlineage.build_lineage import RunEvent

SEND_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The statuses of HTTP after which a request is sent again. After all others, it is refused."""

_SECONDS: Final = 5.0
"""The time limit of a request: the default of the client of OpenLineage."""


class Answers(NamedTuple):
    """The result of sending run events.

    Attributes:
        answered: The number of run events, from the first, that need not be sent again.
        refusals: A clause for each of them that the receiver refused for good.
        fault: The reason why the next one has to be sent again; empty if there is none.
    """

    answered: int
    refusals: Sequence[str]
    fault: str


class Sender(Protocol):
    """Sends run events to a receiver."""

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:
        """Sends run events in order, until one has to be sent again. It begins no request after a time in seconds."""
        ...

    def close(self) -> None:
        """Closes connections."""
        ...


def send_each(events: Sequence[RunEvent], seconds: float, send: Callable[[RunEvent], str]) -> Answers:
    """Sends run events, as a `Sender` does.

    Args:
        events: The run events.
        seconds: The time after which none is sent.
        send: Sends one, and returns the reason of its refusal; empty if it was taken. It may raise ReceiverError.
    """
    deadline = time.monotonic() + seconds
    refusals: list[str] = []
    for count, event in enumerate(events):
        if time.monotonic() >= deadline:
            return Answers(count, refusals, "the receiver answers too slowly")
        try:
            refusal = send(event)
        except ReceiverError as error:
            return Answers(count, refusals, str(error))
        if refusal:
            refusals.append(refusal)
    return Answers(len(events), refusals, "")


class NullSender:
    """Sends nothing."""

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:  # noqa: ARG002 (its name in the Protocol)
        return Answers(len(events), (), "")

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

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:
        return send_each(events, seconds, self._send)

    def _send(self, event: RunEvent) -> str:
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
        except (http.client.HTTPException, OSError, ValueError) as error:  # ValueError: the proxy has no valid port
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
