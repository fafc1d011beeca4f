"""Senders of run events, and the one for receivers that only a URL configures.

All other transports are those of the client of OpenLineage (module `client_sender`). It takes a quarter of a second of
CPU time to import, and its requests take ten times as long as those of `http_requests`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import HttpError, HttpReceiver, fault_of
from databuild.exporters.openlineage.build_lineage import RunEvent
from databuild.tuples import NamedTuple

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
        self._receiver = HttpReceiver(url, {"Content-Type": "application/json", **headers})

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:
        return send_each(events, seconds, self._send)

    def _send(self, event: RunEvent) -> str:
        try:
            answer = self._receiver.post(event.encode(), _SECONDS)
        except (OSError, HttpError) as error:
            raise ReceiverError(fault_of(error)) from error
        return refusal_of(answer.status, answer.reason)

    def close(self) -> None:
        self._receiver.close()


def refusal_of(status: int, reason: str) -> str:
    """Returns the reason of a refusal by the status of an answer; empty if it is none.

    Raises:
        ReceiverError: The request has to be sent again.
    """
    if status in SEND_AGAIN:
        raise ReceiverError(f"status {status} ({reason})")
    return "" if 200 <= status < 300 else f"status {status} ({reason})"
