"""The types of the fields of partition patterns: how their values are written and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from databuild.graph.periods import UNITS
from databuild.tuples import NamedTuple


class Counting:
    """The values of a type as whole numbers, so that ranges of them have a length.

    Attributes:
        end_regex: Matches the ends of ranges, also values that do not exist.
        example_length: The number that ends a range as an example, after its beginning.
        format: Returns the value of a number.
    """

    def __init__(
        self, end_regex: str, example_length: int, parse: Callable[[str], int], form: Callable[[int], str]
    ) -> None:
        self.end_regex = end_regex
        self.example_length = example_length
        self.format = form
        self._parse = parse

    def parse(self, text: str) -> int | None:
        """Returns the number of a value; None for a value that does not exist."""
        try:
            return self._parse(text)
        except ValueError:
            return None

    def exists(self, text: str) -> bool:
        return self.parse(text) is not None

    def values(self, first: int, last: int) -> Sequence[str]:
        """Returns the values of a range. Each is made on access, so the length of a huge range is known immediately."""
        return _Values(range(first, last + 1), self.format)


class FieldType(NamedTuple):
    """One type.

    Attributes:
        regex: Matches its values. Compiles fast, but may also match dates, times and weeks that do not exist.
        exact_regex: Matches exactly its values, by the Gregorian calendar; a regular expression in the strict sense.
        example: A value.
        shape: Its values with `}` for each digit; `{` where they have no shape in common.
        counting: Its values as numbers; None where they cannot be counted.
    """

    regex: str
    exact_regex: str
    example: str
    shape: str = "{"
    counting: Counting | None = None

    @property
    def of_calendar(self) -> bool:
        """True for values with digits in fixed places, of which some do not exist."""
        return self.shape != "{"


class _Values(Sequence[str]):
    def __init__(self, numbers: range, form: Callable[[int], str]) -> None:
        self._numbers = numbers
        self._form = form

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        return self._form(self._numbers[index])


_YEAR: Final = r"(?:\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)"
_LEAP_YEAR: Final = r"(?:\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY: Final = (
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"  # every month
    "|(?:0[13-9]|1[0-2])-(?:29|30)"  # all but February
    "|(?:0[13578]|1[02])-31)"  # the long ones
)
_DATE: Final = f"(?:{_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
_HOUR: Final = r"T(?:[01]\d|2[0-3])"


def _long_years() -> Iterator[str]:
    """Yields regular expressions of the years with 53 weeks, which repeat every 400 years."""
    for century, centuries in enumerate(
        ("[02468][048]|[13579][26]", "[02468][159]|[13579][37]", "[02468][26]|[13579][048]", "[02468][37]|[13579][159]")
    ):
        years = [year for year in range(100) if dt.date(2000 + 100 * century + year, 12, 28).isocalendar().week == 53]
        yield f"(?:{centuries})(?:{'|'.join(f'{year:02}' for year in years)})"


def _calendar_type(name: str, regex: str, exact_regex: str, example_length: int) -> FieldType:
    """Returns a type whose values are periods of the calendar.

    Args:
        name: The name of the unit.
        regex: Matches its values fast, and perhaps values that do not exist.
        exact_regex: Matches exactly its values.
        example_length: The number of periods between both ends of an example of a range.
    """
    unit = UNITS[name]
    example = unit.format(unit.of_minute(UNITS["minute"].parse("2013-01-31T05:07")))
    shape = "".join("}" if character.isdigit() else character for character in example)
    ends = "".join(r"\d" if character.isdigit() else character for character in example)
    return FieldType(regex, exact_regex, example, shape, Counting(ends, example_length, unit.parse, unit.format))


FIELD_TYPES: Final = {
    "year": _calendar_type("year", r"(?!0000)\d{4}", _YEAR, 3),
    "quarter": _calendar_type("quarter", r"(?!0000)\d{4}-Q[1-4]", f"{_YEAR}-Q[1-4]", 3),
    "month": _calendar_type("month", r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])", f"{_YEAR}-(?:0[1-9]|1[0-2])", 11),
    "week": _calendar_type(
        "week",
        r"\d{4}-W\d{2}",
        f"(?:{_YEAR}-W(?:0[1-9]|[1-4]\\d|5[0-2])|(?:{'|'.join(_long_years())})-W53)",
        51,
    ),
    "date": _calendar_type("date", r"\d{4}-\d{2}-\d{2}", _DATE, 30),
    "hour": _calendar_type("hour", rf"\d{{4}}-\d{{2}}-\d{{2}}{_HOUR}", f"{_DATE}{_HOUR}", 23),
    "minute": _calendar_type("minute", rf"\d{{4}}-\d{{2}}-\d{{2}}{_HOUR}:[0-5]\d", f"{_DATE}{_HOUR}:[0-5]\\d", 59),
    "int": FieldType(
        regex=r"(?:0|-?[1-9]\d*)",
        exact_regex=r"(?:0|-?[1-9]\d*)",
        example="7",
        counting=Counting(r"-?\d+", 9, int, str),
    ),
    "str": FieldType(regex=r"[^/\s\x00-\x1f]+", exact_regex=r"[^/\s\x00-\x1f]+", example="x"),
}
"""Every type, by its name."""

BELOW_DAYS: Final = ("minute", "hour")
OF_MONTHS: Final = ("month", "quarter", "year")


def a_kind(kind: str) -> str:
    """Returns the name of a type with its article, for messages."""
    name = "regular expression" if kind.startswith("/") else kind
    return f"{'an' if name[0] in 'aeiou' or name == 'hour' else 'a'} {name}"
