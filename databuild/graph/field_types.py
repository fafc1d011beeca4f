"""The types of the fields of partition patterns: how their values are written and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple


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

    def values(self, first: int, last: int) -> Sequence[str]:
        """Returns the values of a range. Each is made on access, so the length of a huge range is known immediately."""
        return _Values(range(first, last + 1), self.format)


class FieldType(NamedTuple):
    """One type.

    Attributes:
        regex: Matches its values. Compiles fast, but that of `date` and `hour` also matches values that do not exist.
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
_EPOCH: Final = dt.datetime(1, 1, 1)  # noqa: DTZ001 - hours are counted, not placed in a zone

FIELD_TYPES: Final = {
    "date": FieldType(
        regex=r"\d{4}-\d{2}-\d{2}",
        exact_regex=_DATE,
        example="2013-01-31",
        shape="}}}}-}}-}}",
        counting=Counting(
            r"\d{4}-\d{2}-\d{2}",
            30,
            lambda text: dt.date.fromisoformat(text).toordinal(),
            lambda number: dt.date.fromordinal(number).isoformat(),
        ),
    ),
    "month": FieldType(
        regex=r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])",
        exact_regex=f"{_YEAR}-(?:0[1-9]|1[0-2])",
        example="2013-01",
        shape="}}}}-}}",
        counting=Counting(
            r"\d{4}-\d{2}",
            11,
            lambda text: (first := dt.date.fromisoformat(f"{text}-01")).year * 12 + first.month - 1,
            lambda number: f"{number // 12:04}-{number % 12 + 1:02}",
        ),
    ),
    "hour": FieldType(
        regex=r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3])",
        exact_regex=rf"{_DATE}T(?:[01]\d|2[0-3])",
        example="2013-01-31T05",
        shape="}}}}-}}-}}T}}",
        counting=Counting(
            r"\d{4}-\d{2}-\d{2}T\d{2}",
            23,
            lambda text: int((dt.datetime.fromisoformat(text) - _EPOCH).total_seconds()) // 3600,
            lambda number: (_EPOCH + dt.timedelta(hours=number)).isoformat(timespec="hours"),
        ),
    ),
    "int": FieldType(
        regex=r"-?(?:0|[1-9]\d*)",
        exact_regex=r"-?(?:0|[1-9]\d*)",
        example="7",
        counting=Counting(r"-?\d+", 9, int, str),
    ),
    "str": FieldType(regex=r"[^/\s\x00-\x1f]+", exact_regex=r"[^/\s\x00-\x1f]+", example="x"),
}
"""Every type, by its name."""
