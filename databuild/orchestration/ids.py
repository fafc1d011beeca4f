"""Ids of builds: unique, and sorted by time when sorted as text."""

from __future__ import annotations

import secrets
import time
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that is read as another."""


def new_build_request_id(now: float | None = None) -> str:
    """Returns an id such as `20261123T095142Z-7k3f9q`: the time in UTC, and 30 random bits.

    Args:
        now: Seconds since the epoch; None for the present.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return f"{stamp}-{''.join(secrets.choice(_ALPHABET) for _ in range(6))}"
