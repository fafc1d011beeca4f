"""Build request ids. New ones begin with the time, so that people see it and folders of logs are listed by it."""

from __future__ import annotations

import os
import time
from typing import Final

from databuild.errors import InvalidRequestError

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, without letters that look like others (i, l, o, u)."""

_MAX_CHARACTERS: Final = 64


def new_build_request_id(now: float | None = None) -> str:
    """Returns an id such as `20261123T095142Z-7k3f9q`.

    It has the time in UTC to the second, two characters for the fraction of the second (in steps of about 1 ms), and
    20 random bits.

    Args:
        now: Seconds since the epoch; None for the current time.
    """
    seconds = time.time() if now is None else now
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    step = int(seconds % 1 * len(_ALPHABET) ** 2)
    fraction = _ALPHABET[step // len(_ALPHABET)] + _ALPHABET[step % len(_ALPHABET)]
    random = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(4))  # 256 is a multiple of the length
    return f"{stamp}-{fraction}{random}"


def check_build_request_id(build_request_id: str) -> None:
    """Checks an id that a caller chose; it also becomes the name of a log folder.

    Raises:
        InvalidRequestError: The id is not valid.
    """
    # No dots: they separate the parts of job run ids, see `job_run_id.py`.
    letters = build_request_id.replace("-", "").replace("_", "")
    valid = build_request_id.isascii() and letters.isalnum() and build_request_id[0].isalnum()
    if not valid or len(build_request_id) > _MAX_CHARACTERS:
        message = (
            f"{build_request_id[:80]!r} is not a valid build id: use up to {_MAX_CHARACTERS} letters, digits, dashes "
            "and underscores, and begin with a letter or digit"
        )
        raise InvalidRequestError(message)
