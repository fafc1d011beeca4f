"""Who uses a browser: a cookie that stands for a token, and a mark in each form that only our own pages have."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from databuild.errors import PermissionDeniedError, UnauthenticatedError
from databuild.service.access.auth import Caller, Tokens

COOKIE: Final = "databuild_session"
SESSION_SECONDS: Final = 12 * 3600
MARK_FIELD: Final = "mark"
"""The field of a form that has its mark."""

_MAX_SESSIONS: Final = 10_000
_MAX_COOKIE_CHARACTERS: Final = 200


class Session(NamedTuple):
    """A browser, as it is known.

    Attributes:
        key: What its cookie holds.
        caller: Who uses it.
        new: Whether the cookie has to be set.
    """

    key: str
    caller: Caller
    new: bool = False


class Sessions:
    """Browsers and who uses them. A restart of the service forgets them."""

    def __init__(self, tokens: Tokens, *, clock: Callable[[], float] = time.time) -> None:
        """Takes the tokens; without any, whoever comes may do everything.

        Args:
            tokens: Who may ask.
            clock: Returns the time in seconds since the epoch.
        """
        self._tokens = tokens
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._callers: dict[bytes, tuple[Caller, float]] = {}

    @property
    def needs_token(self) -> bool:
        """Whether somebody has to sign in first."""
        return bool(self._tokens)

    def of(self, cookie: str, authorization: str = "", certificate: str | None = None) -> Session:
        """Returns the session of a request.

        Args:
            cookie: What its cookie holds; empty where it has none.
            authorization: Its `Authorization` header; empty where it has none.
            certificate: The name in the certificate that the browser showed; None where it showed none.

        Raises:
            UnauthenticatedError: Somebody has to sign in first.
        """
        known = 0 < len(cookie) <= _MAX_COOKIE_CHARACTERS and cookie.isascii()
        if not self._tokens:
            caller = self._tokens.authenticate("", "dashboard", certificate)
            return Session(cookie if known else _new_key(), caller, new=not known)
        if known:
            signed_in, end = self._callers.get(_digest(cookie), (None, 0.0))
            if signed_in is not None and self._clock() < end:
                return Session(cookie, signed_in)
        return Session(cookie if known else _new_key(), self._tokens.authenticate(authorization), new=not known)

    def sign_in(self, token: str) -> Session:
        """Returns a new session for who has a token.

        Raises:
            UnauthenticatedError: The token is not known.
        """
        if not token.strip():
            raise UnauthenticatedError("the token is empty")
        caller = self._tokens.authenticate(f"Bearer {token}")
        now = self._clock()
        while self._callers and (len(self._callers) >= _MAX_SESSIONS or next(iter(self._callers.values()))[1] <= now):
            del self._callers[next(iter(self._callers))]  # they end in the order in which they began
        key = _new_key()
        self._callers[_digest(key)] = (caller, now + SESSION_SECONDS)
        return Session(key, caller, new=True)

    def sign_out(self, cookie: str) -> None:
        """Ends a session."""
        self._callers.pop(_digest(cookie), None)

    def mark(self, session: Session) -> str:
        """Returns what the forms of a session's pages carry."""
        return hmac.new(self._secret, session.key.encode(), hashlib.sha256).hexdigest()

    def check_mark(self, session: Session, mark: str) -> None:
        """Checks that a form comes from a page of this session.

        Raises:
            PermissionDeniedError: It does not, or the service was restarted since.
        """
        if not hmac.compare_digest(mark.encode(), self.mark(session).encode()):
            message = "the form is not from a page of this session, or the service was restarted since: reload the page"
            raise PermissionDeniedError(message)


def _new_key() -> str:
    return secrets.token_urlsafe(32)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
