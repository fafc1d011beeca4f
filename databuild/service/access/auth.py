"""Authentication and authorization of callers by bearer tokens, each with a name and a role."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from databuild.errors import InvalidRequestError, PermissionDeniedError, UnauthenticatedError
from databuild.model.trace_context import valid_traceparent

READ: Final = "read"
WRITE: Final = "write"
ROLES: Final = (READ, WRITE)
_BEARER: Final = "bearer "
_MIN_TOKEN_CHARACTERS: Final = 16
_MAX_NAME_CHARACTERS: Final = 100
ANONYMOUS: Final = "anonymous"
"""Name recorded for unidentified callers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The sender of a request.

    Attributes:
        name: The author recorded for changes. Queued builds of different names take turns.
        role: `read`, or `write`, which includes `read`.
        traceparent: The trace context of the request (W3C Trace Context); empty for none.
    """

    name: str
    role: str = WRITE
    traceparent: str = ""

    @classmethod
    def unverified(cls, name: str) -> Caller:
        """Returns a caller with the role `write`; `anonymous` if the name is empty, too long or not printable."""
        name = name.strip()
        return cls(name=name if name and name.isprintable() and len(name) <= _MAX_NAME_CHARACTERS else ANONYMOUS)

    def within(self, traceparent: str) -> Caller:
        """Returns the caller of a request with a trace context, which is ignored if it is invalid."""
        valid = valid_traceparent(traceparent)
        return replace(self, traceparent=valid) if valid else self

    def check(self, role: str) -> None:
        """Checks that the caller has a role.

        Raises:
            PermissionDeniedError: The caller does not have it.
        """
        if role == WRITE and self.role != WRITE:
            message = f"{self.name} has the role `read`; this request needs a token with the role `write`"
            raise PermissionDeniedError(message)


class Tokens:
    """The accepted bearer tokens. Only their hashes are kept in memory.

    Without tokens, every caller has the role `write`.

    Args:
        callers: The caller of each token.
        equal: Compares two hashes in constant time.
    """

    def __init__(
        self, callers: Mapping[str, Caller], *, equal: Callable[[bytes, bytes], bool] = hmac.compare_digest
    ) -> None:
        self._equal = equal
        self._callers = tuple((_digest(token), caller) for token, caller in callers.items())

    def __bool__(self) -> bool:
        return bool(self._callers)

    def authenticate(self, authorization: str, author: str = "", certificate_name: str | None = None) -> Caller:
        """Returns the caller of a request.

        Args:
            authorization: The `Authorization` header; empty if there is none.
            author: The name that the caller claims. Used only if there are neither tokens nor a client certificate.
            certificate_name: The name in the client certificate; None without one. Used only if there are no tokens.

        Raises:
            UnauthenticatedError: The header has no accepted token.
        """
        if not self._callers:
            return Caller.unverified(author if certificate_name is None else certificate_name)
        if not authorization:
            raise UnauthenticatedError("the request has no token")
        if not authorization.lower().startswith(_BEARER):
            raise UnauthenticatedError("the Authorization header is not of the form `Bearer TOKEN`")
        digest = _digest(authorization[len(_BEARER) :].strip())
        authenticated = None
        # Compare with every token, so that the response time does not depend on which one matches.
        for accepted_digest, caller in self._callers:
            if self._equal(accepted_digest, digest):
                authenticated = caller
        if authenticated is None:
            raise UnauthenticatedError("the token is not valid")
        return authenticated


def read_tokens(text: str, source: str) -> Tokens:
    """Parses tokens, one per line: `NAME ROLE TOKEN`. Empty lines and lines that start with # are ignored.

    Args:
        text: The lines.
        source: The name of the file or variable, for error messages. They never contain a token.

    Raises:
        InvalidRequestError: A line has the wrong form, or a token is too short or repeated.
    """
    callers: dict[str, Caller] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{source}, line {number}"
        if len(words) != 3:
            raise InvalidRequestError(f"{where}: the line is not of the form NAME ROLE TOKEN")
        name, role, token = words
        if role not in ROLES:
            raise InvalidRequestError(f"{where}: the role is {role!r}; it must be read or write")
        if len(token) < _MIN_TOKEN_CHARACTERS:
            message = f"the token has fewer than {_MIN_TOKEN_CHARACTERS} characters; `openssl rand -hex 32` makes one"
            raise InvalidRequestError(f"{where}: {message}")
        if token in callers:
            raise InvalidRequestError(f"{where}: an earlier line has the same token")
        callers[token] = Caller(name=name, role=role)
    if not callers:
        raise InvalidRequestError(f"{source} has no token; add a line NAME ROLE TOKEN")
    return Tokens(callers)


def _digest(token: str) -> bytes:
    # Tokens are long and random, unlike passwords, so a fast hash without a salt is safe.
    return hashlib.sha256(token.encode()).digest()
