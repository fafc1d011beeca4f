"""Senders of requests of OTLP. Only the client that is needed is imported."""

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


def sender_for(endpoint: Endpoint) -> Sender:
    """Returns the sender for a receiver.

    Raises:
        InvalidRequestError: A file with a certificate cannot be used.
    """
    try:
        if endpoint.protocol == GRPC:
            from databuild.exporters.otlp.grpc_sender import GrpcSender

            return GrpcSender(endpoint)
        from databuild.exporters.otlp.http_sender import HttpSender

        return HttpSender(endpoint)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"a certificate for OTLP cannot be used: {reason}") from error
