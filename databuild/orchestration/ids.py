"""Ids of builds: unique, and sorted by time when sorted as text."""

from __future__ import annotations

import secrets
import time
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that is read as another."""


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
