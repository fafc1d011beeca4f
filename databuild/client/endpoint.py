"""Addresses of services as users write them, and the files of TLS."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from databuild.errors import InvalidRequestError

DEFAULT_PORT: Final = 7421
_MAX_PORT: Final = 65_535
_UNLIMITED: Final = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """The paths of the files of TLS, in PEM. It is false if no file is named.

    Attributes:
        authority: The root certificate for the certificate of the service; empty for the public roots.
        certificate: The client certificate to present to the service; empty for none.
        key: The key of the client certificate.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def __bool__(self) -> bool:
        return bool(self.authority or self.certificate or self.key)

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            InvalidRequestError: A file cannot be read, or a certificate has no key.
        """
        if bool(self.certificate) != bool(self.key):
            raise InvalidRequestError("a client certificate needs both the certificate and its key; one is missing")
        root, key, certificate = (_read(path) for path in (self.authority, self.key, self.certificate))
        return grpc.ssl_channel_credentials(root, key, certificate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The address of the gRPC port of a service.

    Attributes:
        target: `HOST:PORT`.
        secure: True to use TLS.
    """

    target: str
    secure: bool = False

    def __str__(self) -> str:
        """Returns a text that `parse_endpoint` parses to this endpoint."""
        return f"grpcs://{self.target}" if self.secure else self.target

    @property
    def options(self) -> tuple[tuple[str, int], ...]:
        """The options of a gRPC channel (https://grpc.github.io/grpc/core/group__grpc__arg__keys.html)."""
        return (
            # Reconnect soon after a restart of the service; the default pauses for up to 2 minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # The service limits the size of requests. A plan may have more than the default of 4 MiB.
            ("grpc.max_receive_message_length", _UNLIMITED),
            ("grpc.max_send_message_length", _UNLIMITED),
            # Notice within a minute that a machine or a network has gone away while a build without events is watched.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.http2.max_pings_without_data", 0),
            # gRPC would send even connections to this machine through the proxy that `http_proxy` names.
            ("grpc.enable_http_proxy", 0 if self._is_loopback else 1),
        )

    @property
    def _is_loopback(self) -> bool:
        host = self.target.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def parse_endpoint(text: str) -> Endpoint:
    """Parses `HOST`, `HOST:PORT`, `grpc://HOST:PORT` or, for TLS, `grpcs://HOST:PORT`.

    Raises:
        InvalidRequestError: The text has another form.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "grpc", text.strip()
    if scheme in {"http", "https"}:  # the address of the dashboard, copied from a browser
        raise InvalidRequestError(
            f"{text!r} is an HTTP address; write HOST:PORT of the gRPC port, such as HOST:{DEFAULT_PORT}"
        )
    rest = rest.rstrip("/")
    host, port = _split(rest)
    bare = host.strip("[]")
    if scheme not in {"grpc", "grpcs"} or not bare or any(letter in "/?#@ \t\n" for letter in bare):
        raise InvalidRequestError(f"{text!r} is not the address of a service; write HOST:PORT or grpcs://HOST:PORT")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        raise InvalidRequestError(f"{text!r} has no port between 1 and {_MAX_PORT}; write HOST:PORT")
    target_host = f"[{bare}]" if ":" in bare else bare
    return Endpoint(target=f"{target_host}:{int(port)}", secure=scheme == "grpcs")


def _split(text: str) -> tuple[str, str]:
    """Returns host and port. An IPv6 address needs brackets only if it has a port."""
    if text.startswith("["):
        host, _, after = text.partition("]")
        return host, after.removeprefix(":") or str(DEFAULT_PORT)
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host:
        return text, str(DEFAULT_PORT)
    return host, port


def _read(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror}") from None
