"""Who may ask for what: bearer tokens with a role each, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from databuild.errors import InvalidRequestError, PermissionDeniedError, UnauthenticatedError

READ: Final = "read"
WRITE: Final = "write"
ROLES: Final = (READ, WRITE)
_BEARER: Final = "bearer "
_MIN_TOKEN_CHARACTERS: Final = 16
_MAX_NAME_CHARACTERS: Final = 100
NOBODY: Final = "anonymous"
"""Who somebody is who does not say so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: What is recorded as the author of what they do, and whose turn it is where builds wait.
        role: `read`, or `write`, which may do everything.
    """

    name: str
    role: str = WRITE

    @classmethod
    def named(cls, author: str) -> Caller:
        """Returns who asks where there are no tokens: whoever they say they are."""
        author = author.strip()
        return cls(name=author if author and author.isprintable() and len(author) <= _MAX_NAME_CHARACTERS else NOBODY)

    def check(self, role: str) -> None:
        """Checks that the caller may do what takes a role.

        Raises:
            PermissionDeniedError: They may not.
        """
        if role == WRITE and self.role != WRITE:
            message = f"{self.name} may read only; this takes a token with the role `write`"
            raise PermissionDeniedError(message)


class Tokens:
    """The tokens that are taken. Only their hashes are kept."""

    def __init__(
        self, callers: Mapping[str, Caller], *, equal: Callable[[bytes, bytes], bool] = hmac.compare_digest
    ) -> None:
        """Without any token, everybody may do everything.

        Args:
            callers: The caller of each token.
            equal: Compares two hashes in constant time.
        """
        self._equal = equal
        self._callers = tuple((_digest(token), caller) for token, caller in callers.items())

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._callers)

    def caller(self, authorization: str, author: str = "", certificate: str | None = None) -> Caller:
        """Returns who sends an `Authorization` header.

        Args:
            authorization: The header; empty where there is none.
            author: Who they say they are, which counts where there are neither tokens nor certificates.
            certificate: The name in the certificate of the client, which counts where there are no tokens; None where
                none was shown.

        Raises:
            UnauthenticatedError: The header has no token that is taken.
        """
        if not self._callers:
            return Caller.named(author if certificate is None else certificate)
        if not authorization:
            raise UnauthenticatedError("the request has no token")
        if not authorization.lower().startswith(_BEARER):
            raise UnauthenticatedError("the Authorization header is not of the kind `Bearer`")
        sent = _digest(authorization[len(_BEARER) :].strip())
        found = None
        for digest, caller in self._callers:  # all of them, so that the time taken tells nothing
            if self._equal(digest, sent):
                found = caller
        if found is None:
            raise UnauthenticatedError("the token is not known")
        return found


def read_tokens(text: str, source: str) -> Tokens:
    """Reads tokens, one a line: `NAME ROLE TOKEN`; empty lines, and lines that begin with #, are passed over.

    Args:
        text: What stands there.
        source: Where, for messages, which never show a token.

    Raises:
        InvalidRequestError: A line cannot be read, or a token could be guessed.
    """
    callers: dict[str, Caller] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 3:
            raise InvalidRequestError(f"{source}, line {number}: it is not of the form NAME ROLE TOKEN")
        name, role, token = words
        if role not in ROLES:
            raise InvalidRequestError(f"{source}, line {number}: {role!r} is no role; roles are read and write")
        if len(token) < _MIN_TOKEN_CHARACTERS:
            fault = f"the token has fewer than {_MIN_TOKEN_CHARACTERS} characters; `openssl rand -hex 32` makes one"
            raise InvalidRequestError(f"{source}, line {number}: {fault}")
        if token in callers:
            raise InvalidRequestError(f"{source}, line {number}: the token is there twice")
        callers[token] = Caller(name=name, role=role)
    if not callers:
        raise InvalidRequestError(f"{source} has no token; each line is NAME ROLE TOKEN")
    return Tokens(callers)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
