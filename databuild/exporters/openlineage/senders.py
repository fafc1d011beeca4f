"""Senders of run events, and what their requests have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from databuild.exporters.exporter import ReceiverError
from databuild.exporters.openlineage.build_lineage import RunEvent
from databuild.tuples import NamedTuple

T = TypeVar("T")

SEND_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The statuses of HTTP after which a request is sent again. After all others, it is refused."""

TOO_SLOW: Final = "the receiver answers too slowly"
"""The fault of a receiver that has not answered all run events in time."""


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


def send_each(events: Sequence[T], seconds: float, send: Callable[[T], str]) -> Answers:
    """Sends run events, as a `Sender` does.

    Args:
        events: The run events, in any form.
        seconds: The time after which none is sent.
        send: Sends one, and returns the reason of its refusal; empty if it was taken. It may raise ReceiverError.
    """
    deadline = time.monotonic() + seconds
    refusals: list[str] = []
    for count, event in enumerate(events):
        if time.monotonic() >= deadline:
            return Answers(count, refusals, TOO_SLOW)
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


def refusal_of(status: int, reason: str) -> str:
    """Returns the reason of a refusal by the status of an answer; empty if it is none.

    Raises:
        ReceiverError: The request has to be sent again.
    """
    if status in SEND_AGAIN:
        raise ReceiverError(f"status {status} ({reason})")
    return "" if 200 <= status < 300 else f"status {status} ({reason})"
