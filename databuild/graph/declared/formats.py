"""Formats of dates and times in expressions: a subset of strftime that is the same for all years and locales."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from databuild.errors import InvalidPatternError
from databuild.graph.field_types import BELOW_DAYS, a_kind
from databuild.graph.periods import DAYS_PER_WEEK, MINUTES_PER_DAY, UNITS

_DAYS: Final = (*BELOW_DAYS, "date")
_DIRECTIVES: Final[Mapping[str, tuple[str, ...]]] = {
    "Y": (*_DAYS, "month", "quarter", "year"),
    "y": (*_DAYS, "month", "quarter", "year"),
    "m": (*_DAYS, "month"),
    "d": _DAYS,
    "j": _DAYS,
    "G": (*_DAYS, "week"),
    "V": (*_DAYS, "week"),
    "H": BELOW_DAYS,
    "M": ("minute",),
    "%": tuple(UNITS),
}
"""The directives of strftime that formats may have, with the types that determine them."""


def check_format(text: str, kind: str, form: str) -> None:
    unit = UNITS.get(kind)
    if unit is None:
        raise InvalidPatternError(text, f"only dates and times have formats, and this is {a_kind(kind)}")
    if not form:
        raise InvalidPatternError(text, "the format after the colon is empty; leave the colon out for the form of refs")
    allowed = [f"%{name}" for name, kinds in _DIRECTIVES.items() if kind in kinds]
    for directive in re.findall(r"%(.?)", form, re.DOTALL):
        if kind not in _DIRECTIVES.get(directive, ()):
            fault = f"{a_kind(kind)} has no %{directive}; its directives are {', '.join(allowed)}"
            raise InvalidPatternError(text, fault)


def formatted(kind: str, form: str, number: int) -> str:
    """Returns the period with a number in a format."""
    unit = UNITS[kind]
    iso = UNITS["minute"].format(unit.start(number))
    day = unit.start(number) // MINUTES_PER_DAY
    week = UNITS["week"].format(day // DAYS_PER_WEEK)
    texts = {
        "Y": iso[:4],
        "y": iso[2:4],
        "m": iso[5:7],
        "d": iso[8:10],
        "H": iso[11:13],
        "M": iso[14:16],
        "G": week[:4],
        "V": week[6:],
        "j": f"{day - UNITS['year'].start(int(iso[:4]) - 1) // MINUTES_PER_DAY + 1:03}",
        "%": "%",
    }
    return re.sub("%(.)", lambda match: texts[match[1]], form)
