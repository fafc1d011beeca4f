"""Addresses, TLS and shutdown of the server. Listening beyond loopback requires authentication."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import grpc

from databuild.errors import InvalidRequestError
from databuild.service.access.auth import Tokens, read_tokens
from databuild.service.http.guard import LOOPBACK_HOSTS, is_loopback


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """Paths of PEM files.

    Attributes:
        certificate: The certificate chain of the service.
        key: The private key of the certificate.
        client_authority: The root that signs client certificates; empty if clients need no certificate.
    """

    certificate: str
    key: str
    client_authority: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """The options of a server.

    Attributes:
        host: The address to listen on.
        port: The HTTP port; 0 for any free port.
        grpc_port: The gRPC port; 0 for any free port.
        tokens: The accepted tokens; without tokens, every caller may do everything.
        tls: The files for TLS; None to listen without TLS.
        insecure_listen: Listen beyond loopback without authentication.
        allowed_hosts: Further accepted values of the `Host` header.
        drain_seconds: The time that running builds get to finish before the service stops.
        leave_builds: Leave builds that have not finished by then to the next service. By default they are cancelled.
    """

    host: str = "127.0.0.1"
    port: int = 0
    grpc_port: int = 0
    tokens: Tokens
    tls: TlsFiles | None = None
    insecure_listen: bool = False
    allowed_hosts: tuple[str, ...] = ()
    drain_seconds: float = 0.0
    leave_builds: bool = False

    def check(self) -> None:
        """Checks that callers are authenticated where other machines can reach the service.

        Raises:
            InvalidRequestError: They are not, and `insecure_listen` is not set.
        """
        if is_loopback(self.host) or self.tokens or self.insecure_listen:
            return
        if self.tls is not None and self.tls.client_authority:
            return
        message = f"on {self.host}, everyone who reaches this machine could read, build and cancel everything"
        raise InvalidRequestError(message).with_remedy("AUTHENTICATE_CALLERS")

    @property
    def hosts(self) -> Collection[str]:
        """The accepted values of the `Host` header, without ports; any value is accepted if empty."""
        if is_loopback(self.host):
            return {*LOOPBACK_HOSTS, self.host, *self.allowed_hosts}
        return self.allowed_hosts


def load_tokens(path: str, variable: str) -> Tokens:
    """Returns the tokens in a file or, without one, in an environment variable.

    Args:
        path: The file; empty if there is none.
        variable: The value of DATABUILD_TOKENS; empty if it is not set.

    Raises:
        InvalidRequestError: The tokens cannot be read, or other users can read the file.
    """
    if path:
        file = Path(path)
        try:
            if file.stat().st_mode & 0o077:
                raise InvalidRequestError(f"other users can read or change {path}; run `chmod 600 {path}`")
            return read_tokens(file.read_text(encoding="utf-8"), path)
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequestError(
                f"{path}: {getattr(error, 'strerror', None) or 'the file is not UTF-8'}"
            ) from None
    return read_tokens(variable, "DATABUILD_TOKENS") if variable else Tokens({})


def ssl_context(tls: TlsFiles) -> ssl.SSLContext:
    """Returns the TLS configuration of the HTTP port.

    Raises:
        InvalidRequestError: A file cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_authority:
            context.load_verify_locations(tls.client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # includes ssl.SSLError
        files = " or ".join(filter(None, (tls.certificate, tls.key, tls.client_authority)))
        raise InvalidRequestError(f"TLS cannot use {files}: {error.strerror or error}") from None
    return context


def grpc_credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Returns the TLS configuration of the gRPC port.

    Raises:
        InvalidRequestError: A file cannot be read.
    """
    try:
        pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
        authority = Path(tls.client_authority).read_bytes() if tls.client_authority else None
    except OSError as error:
        raise InvalidRequestError(f"{error.filename}: {error.strerror}") from None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
