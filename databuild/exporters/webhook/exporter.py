"""Sends notifications as CloudEvents to a URL.

Requests are those of the HTTP binding of CloudEvents 1.0.2 (https://github.com/cloudevents/spec), in structured mode,
or in binary mode if a template makes the body. They are signed as Standard Webhooks 1.0.0 defines
(https://github.com/standard-webhooks/standard-webhooks): `webhook-signature` is the HMAC-SHA256 of id, time and body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import InvalidRequestError
from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.http_requests import HttpError, HttpReceiver, fault_of
from databuild.exporters.http_urls import http_url
from databuild.exporters.webhook.notifications import WAIT, Notification, notification_of
from databuild.exporters.webhook.template import Template
from databuild.exporters.webhook.waits import waiting_builds

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads

_REQUEST_SECONDS: Final = 10.0
_SEND_SECONDS: Final = 10.0
"""The time after which `send` returns between two requests."""

_MIN_POLL: Final = 0.2
_MAX_POLL: Final = 10.0
_TYPE_PREFIX: Final = "databuild."
_TRY_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses below 500 with which a receiver asks for the same request later."""


class WebhookExporter:
    """A `TimedExporter` that sends one request for each notification.

    Attributes:
        poll_seconds: The interval at which waiting builds are looked for; 0 if they are not worth a notification.
    """

    def __init__(
        self,
        url: str,
        occasions: Collection[str],
        *,
        secret: bytes = b"",
        template: Template | None = None,
        wait_seconds: float = 600.0,
        environment: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Sends nothing yet.

        Args:
            url: The address, `http:` or `https:`. Redirections are refused.
            occasions: The occasions, of `notifications.OCCASIONS`.
            secret: The key of signatures; empty for none.
            template: Makes the body of a request; None for a CloudEvent as JSON.
            wait_seconds: The time after which a build without progress is worth a notification.
            environment: The environment whose events it gets; empty for the base.
            clock: Returns the time in seconds since the epoch.

        Raises:
            InvalidRequestError: The URL cannot be used.
        """
        self.name = webhook_name(url)
        self._occasions = frozenset(occasions)
        self._secret = secret
        self._template = template
        self._wait_seconds = wait_seconds
        self._environment = environment
        self.poll_seconds = min(max(wait_seconds / 4, _MIN_POLL), _MAX_POLL) if WAIT in self._occasions else 0.0
        self._clock = clock
        self._receiver = HttpReceiver(url, {})

    def send(self, batch: Batch, reads: BuildReads) -> Delivery:
        refusals: list[str] = []
        deadline = time.monotonic() + _SEND_SECONDS
        for number, (_, event) in enumerate(batch.events):
            if time.monotonic() > deadline:
                return Delivery(number, refusals)
            notification = notification_of(event, self._occasions, reads, self._environment)
            if notification is None:
                continue
            try:
                if refusal := self._send(notification):
                    refusals.append(refusal)
            except ReceiverError:
                if not number:
                    raise
                return Delivery(number, refusals)  # the next call begins with this event, and reports the fault
        return Delivery(len(batch.events), refusals)

    def send_due(self, after: float, until: float, reads: BuildReads) -> Sequence[str]:
        waits = waiting_builds(
            reads, after=after, until=until, limit_seconds=self._wait_seconds, environment=self._environment
        )
        return [refusal for wait in waits if (refusal := self._send(wait))]

    def close(self) -> None:
        self._receiver.close()

    def _send(self, notification: Notification) -> str:
        """Sends a request; returns the reason if the receiver refuses it for good.

        Raises:
            ReceiverError: The receiver could not be reached, or wants the request later.
        """
        attributes = _attributes(notification)
        if self._template is None:
            headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
            body = json.dumps({**attributes, "datacontenttype": "application/json", "data": notification.data}).encode()
        else:
            body = self._template.fill(notification).encode()
            headers = {"content-type": "application/json; charset=utf-8"}
            headers |= {f"ce-{name}": value for name, value in attributes.items()}
        headers |= self._signature(notification.id, body)
        try:
            answer = self._receiver.post(body, _REQUEST_SECONDS, headers)
        except (OSError, HttpError) as error:
            raise ReceiverError(fault_of(error)) from error
        if 200 <= answer.status < 300:
            return ""
        reason = f"status {answer.status} {answer.reason}"
        if answer.status < 500 and answer.status not in _TRY_AGAIN:
            return f"{reason}, for {notification.kind} of build {notification.build_request_id}"
        raise ReceiverError(reason)

    def _signature(self, notification_id: str, body: bytes) -> Mapping[str, str]:
        """Returns the headers of Standard Webhooks; only the id without a secret."""
        seconds = str(int(self._clock()))
        headers = {"webhook-id": notification_id, "webhook-timestamp": seconds}
        if self._secret:
            signed = b".".join((notification_id.encode(), seconds.encode(), body))
            digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers


def webhook_name(url: str) -> str:
    """Returns a name for a URL: its host, and a hash, since paths of webhooks are often secrets.

    Raises:
        InvalidRequestError: It is not an `http:` or `https:` URL of a host.
    """
    parts = http_url(url)
    if parts is None:
        raise InvalidRequestError("the address of notifications must be http://HOST/PATH or https://HOST/PATH")
    return f"{parts.scheme}://{parts.hostname}#{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _attributes(notification: Notification) -> dict[str, str]:
    """Returns the context attributes of the CloudEvent."""
    return {
        "specversion": "1.0",
        "id": notification.id,
        # A label begins with two slashes, which would make it an address of a host.
        "source": f"databuild:{urllib.parse.quote(notification.graph_label, safe='/:@')}",
        "type": _TYPE_PREFIX + notification.kind,
        "subject": notification.build_request_id,
        "time": notification.time,
    }
