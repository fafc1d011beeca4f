"""Names of field types in expressions and in messages about them."""

from __future__ import annotations

from typing import Final

BELOW_DAYS: Final = ("minute", "hour")
OF_MONTHS: Final = ("month", "quarter", "year")


def a_kind(kind: str) -> str:
    """Returns a type with its article."""
    name = "regular expression" if kind.startswith("/") else kind
    return f"{'an' if name[0] in 'aeiou' or name == 'hour' else 'a'} {name}"
