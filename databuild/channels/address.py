"""The address of a system: `SCHEME://HOST:PORT/INSTANCE`, such as `reapi://` for an engine, or `reapis://` with TLS."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from databuild.errors import InvalidRequestError
from databuild.tuples import NamedTuple

_TLS_PORT: Final = 443


class Address(NamedTuple):
    """The address of a system.

    Attributes:
        uri: The URI, without secrets.
        target: The host and the port.
        instance: The name of the instance; may be empty.
        tls: True if connections use TLS.
    """

    uri: str
    target: str
    instance: str
    tls: bool

    @property
    def url(self) -> str:
        """The address as a URL, as credential helpers get it."""
        return f"{'https' if self.tls else 'http'}://{self.target}/"

    def resource(self, name: str) -> str:
        """Returns the name of a resource of the instance."""
        return f"{self.instance}/{name}" if self.instance else name


def parse_address(uri: str, *, tls_scheme: str, system: str) -> Address:
    """Returns the address that a URI has.

    Args:
        uri: The URI.
        tls_scheme: Its scheme if connections use TLS.
        system: The kind of system, for messages, such as `an engine`.

    Raises:
        InvalidRequestError: The URI is invalid. The message does not repeat a password.
    """
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme}://{host}{parts.path}"
    if "@" in parts.netloc:
        raise InvalidRequestError(
            f"{shown!r} was given with a user or a password, which are not sent; pass a header or a credential helper "
            "instead"
        )
    if parts.query or parts.fragment:
        raise InvalidRequestError(f"{uri!r} is not the address of {system}: remove the part after {shown!r}")
    tls = parts.scheme == tls_scheme
    try:
        port = parts.port or (_TLS_PORT if tls else None)
    except ValueError as error:
        raise InvalidRequestError(f"{uri!r} is not the address of {system}: {error}") from None
    if not parts.hostname or port is None:
        raise InvalidRequestError(f"{uri!r} is not the address of {system}; it must be {parts.scheme}://HOST:PORT")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(uri=shown, target=f"{name}:{port}", instance=unquote(parts.path).strip("/"), tls=tls)
