"""Where and how the service is reached, and the rules of that: loopback is free, everything else takes a reason."""

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
    """The files of TLS, in PEM.

    Attributes:
        certificate: The certificate of the service, with those that lead to its root.
        key: Its key.
        client_authority: The root that certificates of clients have to lead to; empty where they need none.
    """

    certificate: str
    key: str
    client_authority: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """Where and how the service is reached, and how it ends.

    Attributes:
        host: The address to listen on.
        port: The port of HTTP; 0 for any that is free.
        grpc_port: The port of gRPC; 0 for any that is free.
        tokens: Who may ask; none where everybody may.
        tls: The files of TLS; None for none.
        insecure_listen: Whether to listen beyond loopback although everybody there may do everything.
        allowed_hosts: Further names under which it may be reached over HTTP.
        drain_seconds: How long builds that run get to end when the service does.
        leave: Whether builds that have not ended by then are left without an end; by default they are cancelled.
    """

    host: str = "127.0.0.1"
    port: int = 0
    grpc_port: int = 0
    tokens: Tokens
    tls: TlsFiles | None = None
    insecure_listen: bool = False
    allowed_hosts: tuple[str, ...] = ()
    drain_seconds: float = 0.0
    leave: bool = False

    def check(self) -> None:
        """Checks that not everybody who can reach the service may do everything.

        Raises:
            InvalidRequestError: They may, and nobody said that this is meant.
        """
        if is_loopback(self.host) or self.tokens or self.insecure_listen:
            return
        if self.tls is not None and self.tls.client_authority:
            return
        message = (
            f"on {self.host}, everybody who reaches this machine could build, cancel and read everything: give tokens "
            "(--token_file), or ask for certificates of clients (--tls_client_ca); --insecure_listen listens anyhow"
        )
        raise InvalidRequestError(message)

    @property
    def hosts(self) -> Collection[str]:
        """The names under which it may be reached over HTTP; none for any."""
        if is_loopback(self.host):
            return {*LOOPBACK_HOSTS, self.host, *self.allowed_hosts}
        return self.allowed_hosts


def tokens_of(path: str, text: str) -> Tokens:
    """Returns the tokens of a file or, where there is none, of a text.

    Args:
        path: The file; empty for none.
        text: What the environment says; empty for nothing.

    Raises:
        InvalidRequestError: They cannot be read, or the file can be by others.
    """
    if path:
        file = Path(path)
        try:
            if file.stat().st_mode & 0o077:
                raise InvalidRequestError(f"{path} can be read by others; `chmod 600 {path}` makes it yours alone")
            return read_tokens(file.read_text(encoding="utf-8"), path)
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequestError(f"{path}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    return read_tokens(text, "DATABUILD_TOKENS") if text else Tokens({})


def ssl_context(tls: TlsFiles) -> ssl.SSLContext:
    """Returns what HTTP is encrypted with.

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
    except OSError as error:  # ssl.SSLError is one, too
        files = " or ".join(filter(None, (tls.certificate, tls.key, tls.client_authority)))
        raise InvalidRequestError(f"{files} cannot be used: {error.strerror or error}") from None
    return context


def grpc_credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Returns what gRPC is encrypted with.

    Raises:
        InvalidRequestError: A file cannot be read.
    """
    try:
        pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
        authority = Path(tls.client_authority).read_bytes() if tls.client_authority else None
    except OSError as error:
        raise InvalidRequestError(f"{error.filename}: {error.strerror}") from None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
