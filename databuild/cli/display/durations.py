"""Durations as people write them: numbers with units, such as `30d` or `1h30m`."""

from __future__ import annotations

import re

from databuild.errors import InvalidRequestError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(text: str, flag: str) -> float:
    """Returns the seconds that a duration stands for.

    Args:
        text: The duration.
        flag: The flag whose value it is.

    Raises:
        InvalidRequestError: It is none.
    """
    if _DURATION.fullmatch(text) is None:
        message = (
            f"--{flag}={text} is no duration; write whole numbers with units, which are w (weeks), d (days), h "
            "(hours), m (minutes) and s (seconds), such as 30d or 12h30m"
        )
        raise InvalidRequestError(message)
    return float(sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))
