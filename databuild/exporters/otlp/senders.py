"""Senders of requests of OTLP. Only the client that is needed is imported, and not before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from databuild.errors import InvalidRequestError
from databuild.exporters.otlp.settings import GRPC, Endpoint

if TYPE_CHECKING:
    from google.protobuf.message import Message


class Sender(Protocol):
    """Sends requests to one receiver."""

    def send(self, request: Message, seconds: float) -> str:
        """Sends a request within a time limit.

        Returns:
            The reason why the receiver refused it or a part of it for good; empty if it took all.

        Raises:
            ReceiverError: The request has to be sent again.
        """
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


class _LateSender:
    """Opens a sender with its first request, in the thread of the exporter: a build need not wait for the import."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._sender: Sender | None = None

    def send(self, request: Message, seconds: float) -> str:
        if self._sender is None:
            self._sender = _open(self._endpoint)
        return self._sender.send(request, seconds)

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()


def sender_for(endpoint: Endpoint) -> Sender:
    """Returns the sender for a receiver.

    Raises:
        InvalidRequestError: A file with a certificate cannot be used.
    """
    if not endpoint.secure:
        return _LateSender(endpoint)
    try:
        return _open(endpoint)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"a certificate for OTLP cannot be used: {reason}") from error


def _open(endpoint: Endpoint) -> Sender:
    if endpoint.protocol == GRPC:
        from databuild.exporters.otlp.grpc_sender import GrpcSender

        return GrpcSender(endpoint)
    from databuild.exporters.otlp.http_sender import HttpSender

    return HttpSender(endpoint)
