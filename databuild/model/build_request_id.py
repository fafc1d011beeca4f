"""Ids of builds: unique, and sorted by time when sorted as text."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

from databuild.errors import InvalidRequestError

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that is read as another."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def new_build_request_id(now: float | None = None) -> str:
    """Returns an id such as `20261123T095142Z-7k3f9q`.

    First the second in UTC, then two characters for the part of the second (about a millisecond each step), then 20
    random bits.

    Args:
        now: Seconds since the epoch; None for the present.
    """
    seconds = time.time() if now is None else now
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    step = int(seconds % 1 * len(_ALPHABET) ** 2)
    part = _ALPHABET[step // len(_ALPHABET)] + _ALPHABET[step % len(_ALPHABET)]
    return f"{stamp}-{part}{''.join(secrets.choice(_ALPHABET) for _ in range(4))}"


def check_build_request_id(build_request_id: str) -> None:
    """Checks that an id that somebody chose can name a build, and the folder of its logs.

    It has no dot, since that is what the ids of a build's job runs are told apart by.

    Raises:
        InvalidRequestError: It cannot.
    """
    if _ID.fullmatch(build_request_id) is None:
        message = (
            f"{build_request_id[:80]!r} cannot be the id of a build: up to 64 letters, digits, dashes and underscores "
            "can, the first of them a letter or digit"
        )
        raise InvalidRequestError(message)
