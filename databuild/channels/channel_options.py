"""The options of channels of gRPC, and their certificates."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import grpc

from databuild.errors import InvalidRequestError
from databuild.model.client_tls import ClientTls

_UNLIMITED: Final = -1

_OPTIONS: Final = (
    # Reconnect soon after a restart of the system; the default pauses for up to 2 minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", _UNLIMITED),
    ("grpc.max_send_message_length", _UNLIMITED),
    # Servers of gRPC close connections that are pinged more often than every 5 minutes, unless they are configured
    # otherwise.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Otherwise all channels to a system share one connection.
    ("grpc.use_local_subchannel_pool", 1),
)


def options_of(target: str) -> Sequence[tuple[str, Any]]:
    """Returns the options of a channel to a host and port."""
    # gRPC would send even connections to this machine through the proxy that `http_proxy` names.
    return [*_OPTIONS, ("grpc.enable_http_proxy", 0 if _is_loopback(target) else 1)]


def credentials_of(tls: ClientTls) -> grpc.ChannelCredentials:
    """Returns the credentials of a channel.

    Raises:
        InvalidRequestError: A file cannot be read or is missing.
    """
    if bool(tls.certificate) != bool(tls.key):
        raise InvalidRequestError("a client certificate needs both the certificate and its key; one is missing")
    authority, key, certificate = (_content(path) for path in (tls.authority, tls.key, tls.certificate))
    return grpc.ssl_channel_credentials(authority, key, certificate)


def _is_loopback(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _content(path: str) -> bytes | None:
    if not path:
        return None
    from pathlib import Path

    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"the file {path} for TLS cannot be read: {error.strerror}") from error
