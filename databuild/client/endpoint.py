"""Where a service is, as people write it, and what is shown to it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from databuild.errors import InvalidRequestError

DEFAULT_PORT: Final = 7421
_HIGHEST_PORT: Final = 65_535
_UNLIMITED: Final = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """The files of TLS, in PEM.

    Attributes:
        authority: The root that the certificate of the service has to lead to; empty for those that everybody trusts.
        certificate: The certificate to show to the service; empty for none.
        key: Its key.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.authority or self.certificate or self.key)

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns what gRPC is encrypted with.

        Raises:
            InvalidRequestError: A file cannot be read, or a certificate has no key.
        """
        if bool(self.certificate) != bool(self.key):
            raise InvalidRequestError("a certificate to show to the service takes both the certificate and its key")
        root, key, certificate = (_read(path) for path in (self.authority, self.key, self.certificate))
        return grpc.ssl_channel_credentials(root, key, certificate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The address of a service over gRPC.

    Attributes:
        target: The host and port.
        secure: Whether TLS is spoken.
    """

    target: str
    secure: bool = False

    def __str__(self) -> str:
        """Returns it as people write it."""
        return f"grpcs://{self.target}" if self.secure else self.target

    @property
    def options(self) -> tuple[tuple[str, int], ...]:
        """How gRPC is to behave there: what was lost is found out soon, and answers may be large."""
        return (
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.max_receive_message_length", _UNLIMITED),
            ("grpc.max_send_message_length", _UNLIMITED),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.http2.max_pings_without_data", 0),
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
    """Reads `HOST`, `HOST:PORT`, `grpc://HOST:PORT` or, for TLS, `grpcs://HOST:PORT`.

    Raises:
        InvalidRequestError: It is nothing of the kind.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found:
        scheme, rest = "grpc", text.strip()
    if scheme in {"http", "https"}:
        raise InvalidRequestError(f"{text!r} is where HTTP is spoken; the address of gRPC is HOST:{DEFAULT_PORT}, say")
    rest = rest.rstrip("/")
    host, port = _split(rest)
    bare = host.strip("[]")
    if scheme not in {"grpc", "grpcs"} or not bare or any(letter in "/?#@ \t\n" for letter in bare):
        raise InvalidRequestError(f"{text!r} is no address of a service; write HOST:PORT or grpcs://HOST:PORT")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT):
        raise InvalidRequestError(f"{text!r} has no port between 1 and {_HIGHEST_PORT}")
    shown = f"[{bare}]" if ":" in bare else bare
    return Endpoint(target=f"{shown}:{int(port)}", secure=scheme == "grpcs")


def _split(text: str) -> tuple[str, str]:
    """Returns host and port; an address of IPv6 may stand without brackets where it has no port."""
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
