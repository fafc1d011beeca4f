"""The sender to receivers that only a URL configures.

All other transports are those of the client of OpenLineage (module `client_sender`). It takes a quarter of a second of
CPU time to import, and its requests take ten times as long as those of `http_requests`.

The API of OpenLineage has a second endpoint, for several events in one request, which is optional:
https://github.com/OpenLineage/OpenLineage/blob/main/spec/OpenLineage.yml. The first batch finds out whether a receiver
has it. Run events whose batch has another answer than that of the API are sent one by one, as to any other receiver.
So no batch can lose or hold up run events that a receiver takes one by one. It may get them twice, with the same ids.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import Answer, HttpError, HttpReceiver, fault_of
from databuild.exporters.openlineage.build_lineage import RunEvent
from databuild.exporters.openlineage.facets import readable
from databuild.exporters.openlineage.senders import SEND_AGAIN, TOO_SLOW, Answers, refusal_of, send_each

MAX_EVENTS: Final = 100
"""The maximum number of run events of a batch."""

MAX_BYTES: Final = 256 * 1024
"""The maximum size of a batch, except for one run event that is larger. Many servers take 1 MiB."""

_MIN_EVENTS: Final = 2
_SECONDS: Final = 5.0
"""The default of the client of OpenLineage."""

_ENDPOINT: Final = "/lineage"
_BATCH_ENDPOINT: Final = "/lineage/batch"
"""The ends of the paths of both endpoints."""

_OK: Final = 200
_NO_CONTENT: Final = 204
_TOO_LARGE: Final = frozenset({413, 504})
"""The statuses of a batch that may be too large, or take too long."""

_MAX_REASON: Final = 200


_Failures = Mapping[int, str]
"""The run events of a batch that the receiver has not taken, by index, in their order.

Each has a clause with the reason if it is refused for good, and an empty text if it is to be sent again.
"""


class HttpSender:
    """Sends run events over HTTP, in batches if the receiver takes them. It follows no redirections."""

    def __init__(self, url: str, headers: Mapping[str, str], request_seconds: float = _SECONDS) -> None:
        """Connects with the first event.

        Args:
            url: The URL of requests with one run event.
            headers: The headers of all requests, beside `Content-Type`.
            request_seconds: The time limit of a request.
        """
        headers = {"Content-Type": "application/json", **headers}
        self._receiver = HttpReceiver(url, headers)
        self._seconds = request_seconds
        batch_url = _batch_url(url)
        self._batches = _BatchEndpoint(HttpReceiver(batch_url, headers), request_seconds) if batch_url else None

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:
        deadline = time.monotonic() + seconds
        answered, refusals = 0, list[str]()
        batches = self._batches
        while batches and not batches.is_absent and answered < len(events):
            if time.monotonic() >= deadline:
                return Answers(answered, refusals, TOO_SLOW)
            batch = batches.next_of(events, answered)
            failures = batches.post(batch) if len(batch) > 1 else {0: ""}
            if failures is None:
                break
            answers = self._send_failed(batch, failures, deadline)
            answered += answers.answered
            refusals += answers.refusals
            if answers.fault:
                return Answers(answered, refusals, answers.fault)
        rest = send_each(events[answered:], deadline - time.monotonic(), self._send)
        if batches and rest.answered:
            batches.shrink()
        return Answers(answered + rest.answered, [*refusals, *rest.refusals], rest.fault)

    def close(self) -> None:
        self._receiver.close()
        if self._batches is not None:
            self._batches.close()

    def _send_failed(self, batch: Sequence[RunEvent], failures: _Failures, deadline: float) -> Answers:
        """Sends the run events of a batch that are to be sent again, one by one."""
        ends = [*failures, len(batch)]
        seconds = deadline - time.monotonic()
        answers = send_each(ends[:-1], seconds, lambda index: failures[index] or self._send(batch[index]))
        return answers._replace(answered=ends[answers.answered])

    def _send(self, event: RunEvent) -> str:
        try:
            answer = self._receiver.post(event.encode(), self._seconds)
        except (OSError, HttpError) as error:
            raise ReceiverError(fault_of(error)) from error
        return refusal_of(answer.status, answer.reason)


class _BatchEndpoint:
    """The endpoint for batches, which a receiver may not have.

    Attributes:
        is_absent: True once the receiver has shown that it does not have it.
    """

    def __init__(self, receiver: HttpReceiver, request_seconds: float) -> None:
        self.is_absent = False
        self._receiver = receiver
        self._seconds = request_seconds
        self._is_known = False
        self._limit = MAX_EVENTS
        self._too_many = 0

    def next_of(self, events: Sequence[RunEvent], first: int) -> Sequence[RunEvent]:
        """Returns the longest batch of run events that begins with the given one: that one, or more."""
        size = 0
        for end in range(first, min(first + self._limit, len(events))):
            size += len(events[end]) + 1  # all characters are of ASCII
            if size > MAX_BYTES and end > first:
                return events[first:end]
        return events[first : first + self._limit]

    def post(self, batch: Sequence[RunEvent]) -> _Failures | None:
        """Sends a batch.

        Returns:
            The run events that the receiver has not taken, in their order; None if it has not accounted for all.
        """
        self._too_many = 0
        try:
            answer = self._receiver.post(f"[{','.join(batch)}]".encode(), self._seconds)
        except (OSError, HttpError) as error:
            self._too_many = len(batch) if isinstance(error, TimeoutError) else 0
            return None
        failures = _failures_of(answer, len(batch))
        if failures is not None:
            self._is_known = True
        elif answer.status in _TOO_LARGE:
            self._too_many = len(batch)
        elif answer.status not in SEND_AGAIN and not self._is_known:
            self.is_absent = True
            self.close()
        return failures

    def shrink(self) -> None:
        """Makes batches smaller if the last one was too large or took too long. Call it if one run event was taken."""
        if self._too_many:
            self._limit = max(self._too_many // 2, _MIN_EVENTS)

    def close(self) -> None:
        self._receiver.close()


def _batch_url(url: str) -> str:
    """Returns the URL of the endpoint for batches; empty if the path is not that of the API of OpenLineage."""
    parts = urlsplit(url)
    if not parts.path.endswith(_ENDPOINT):
        return ""
    return parts._replace(path=parts.path.removesuffix(_ENDPOINT) + _BATCH_ENDPOINT).geturl()


def _failures_of(answer: Answer, count: int) -> _Failures | None:
    """Returns the run events that were not taken according to the answer to a batch; None if it is no such answer."""
    if answer.status == _NO_CONTENT:
        return {}
    if answer.status != _OK:
        return None
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    match body:
        case {"summary": {"received": received, "failed": failed}} if received == count:
            failures = _listed_failures(body.get("failed_events"), count)
        case _:
            return None
    # The list is optional. Without it, each of the run events is sent by itself.
    return failures if len(failures) == failed else dict.fromkeys(range(count), "")


def _listed_failures(listed: object, count: int) -> _Failures:
    failures = {}
    for one in listed if isinstance(listed, list) else ():
        match one:
            case {"index": int(index)} if 0 <= index < count:
                # Apache Polaris has the reason as the message.
                reason = readable(str(one.get("reason") or one.get("message")))[:_MAX_REASON]
                failures[index] = f"one run event of a batch: {reason}" if one.get("retriable") is False else ""
    return dict(sorted(failures.items()))
