"""Sessions of browsers: a cookie that stands for an access token, and CSRF tokens for forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

from databuild.errors import PermissionDeniedError, UnauthenticatedError
from databuild.service.access.auth import Caller, Tokens
from databuild.tuples import NamedTuple

COOKIE: Final = "databuild_session"
SESSION_SECONDS: Final = 12 * 3600
CSRF_FIELD: Final = "csrf_token"
"""Name of the hidden form field with the CSRF token."""

_MAX_SESSIONS: Final = 10_000
_MAX_COOKIE_CHARACTERS: Final = 200


class Session(NamedTuple):
    """The session of a browser.

    Attributes:
        key: Value of the session cookie.
        caller: The authenticated caller.
        new: True if the response must set the cookie.
    """

    key: str
    caller: Caller
    new: bool = False


class Sessions:
    """Sessions in memory. A restart of the service ends all of them."""

    def __init__(self, tokens: Tokens, *, clock: Callable[[], float] = time.time) -> None:
        """Creates a store without sessions.

        Args:
            tokens: Access tokens and their roles. Without any, every browser may do everything.
            clock: Returns the current time in seconds since the epoch.
        """
        self._tokens = tokens
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._callers: dict[bytes, tuple[Caller, float]] = {}

    @property
    def needs_token(self) -> bool:
        """True if browsers must sign in."""
        return bool(self._tokens)

    def of(self, cookie: str, authorization: str = "", certificate: str | None = None) -> Session:
        """Returns the session of a request.

        Args:
            cookie: Value of the session cookie; empty if there is none.
            authorization: `Authorization` header; empty if there is none.
            certificate: Name in the client certificate; None if there is none.

        Raises:
            UnauthenticatedError: The browser must sign in first.
        """
        valid = 0 < len(cookie) <= _MAX_COOKIE_CHARACTERS and cookie.isascii()
        if not self._tokens:
            caller = self._tokens.authenticate("", "dashboard", certificate)
            return Session(cookie if valid else _new_key(), caller, new=not valid)
        if valid:
            signed_in, end = self._callers.get(_digest(cookie), (None, 0.0))
            if signed_in is not None and self._clock() < end:
                return Session(cookie, signed_in)
        return Session(cookie if valid else _new_key(), self._tokens.authenticate(authorization), new=not valid)

    def sign_in(self, token: str) -> Session:
        """Returns a new session for an access token.

        Raises:
            UnauthenticatedError: The token is unknown.
        """
        if not token.strip():
            raise UnauthenticatedError("the token is empty")
        caller = self._tokens.authenticate(f"Bearer {token}")
        now = self._clock()
        while self._callers and (len(self._callers) >= _MAX_SESSIONS or next(iter(self._callers.values()))[1] <= now):
            del self._callers[next(iter(self._callers))]  # sessions expire in the order of their creation
        key = _new_key()
        self._callers[_digest(key)] = (caller, now + SESSION_SECONDS)
        return Session(key, caller, new=True)

    def sign_out(self, cookie: str) -> None:
        """Ends a session."""
        self._callers.pop(_digest(cookie), None)

    def csrf_token(self, session: Session, environment: str) -> str:
        """Returns the CSRF token for the forms of a session: a keyed hash of the session key and the environment."""
        return hmac.new(self._secret, f"{session.key} {environment}".encode(), hashlib.sha256).hexdigest()

    def check_csrf_token(self, session: Session, environment: str, csrf_token: str) -> None:
        """Checks that a form comes from a page of this session, and is about the environment that it shows now.

        Raises:
            PermissionDeniedError: It does not, the service has been restarted since, or another environment was chosen.
        """
        if not hmac.compare_digest(csrf_token.encode(), self.csrf_token(session, environment).encode()):
            message = (
                "the form is not from a page of this session, or of another environment, or the service was restarted: "
                "reload the page"
            )
            raise PermissionDeniedError(message)


def _new_key() -> str:
    return secrets.token_urlsafe(32)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
