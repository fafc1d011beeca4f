"""Requests of OTLP over HTTP.

https://opentelemetry.io/docs/specs/otlp/#otlphttp says which answers mean that a request may be sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import HttpError, HttpReceiver, fault_of
from databuild.exporters.otlp.answers import refusal

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from databuild.exporters.otlp.settings import Endpoint

_SEND_AGAIN: Final = frozenset({429, 502, 503, 504})


class HttpSender:
    """A `Sender` over HTTP."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Reads certificates; connects with the first request.

        Raises:
            OSError: A file with a certificate cannot be used.
        """
        self._endpoint = endpoint
        context = None
        if endpoint.secure:
            import ssl

            context = ssl.create_default_context(cafile=endpoint.authority or None)
            if endpoint.certificate:
                context.load_cert_chain(endpoint.certificate, endpoint.key or None)
        headers = {"content-type": "application/x-protobuf", **endpoint.headers}
        if endpoint.gzip:
            headers["content-encoding"] = "gzip"
        self._receiver = HttpReceiver(endpoint.url, headers, context)

    def send(self, request: Message, seconds: float) -> str:
        body = request.SerializeToString()
        if self._endpoint.gzip:
            import gzip

            body = gzip.compress(body, 1)
        try:
            answer = self._receiver.post(body, seconds)
        except (OSError, HttpError) as error:
            raise ReceiverError(fault_of(error)) from error
        if 200 <= answer.status < 300:
            return refusal(self._endpoint.signal, answer.body)
        reason = f"status {answer.status} {answer.reason}"
        if answer.status in _SEND_AGAIN:
            raise ReceiverError(reason)
        return reason

    def close(self) -> None:
        self._receiver.close()
