"""Series: partitions of one pattern that differ in their date only, and so can be compared with each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.graph.field_types import FIELD_TYPES, Counting
from databuild.graph.patterns import PartitionPattern
from databuild.tuples import NamedTuple

_DATED: Final = ("date", "hour", "minute", "week", "month", "quarter", "year")
_GAP: Final = "\0"
"""Stands for the date in a ref; no ref contains it."""


class Series(NamedTuple):
    """The partitions of a pattern whose fields other than the date are equal.

    Their refs begin and end alike, and are in the order of their dates.

    Attributes:
        prefix: The text before the date.
        suffix: The text after the date.
        counting: The dates as numbers.
    """

    prefix: str
    suffix: str
    counting: Counting

    def date(self, ref: str) -> str:
        """Returns the date of a ref; empty if the ref is not of this series."""
        end = len(ref) - len(self.suffix)
        if end < len(self.prefix) or not (ref.startswith(self.prefix) and ref.endswith(self.suffix)):
            return ""
        text = ref[len(self.prefix) : end]
        return text if self.position(text) is not None else ""

    def position(self, date: str) -> int | None:
        """Returns the number of a date, by which distances are measured; None if there is no such date."""
        number = self.counting.parse(date)
        return number if number is not None and self.counting.format(number) == date else None


def dated_field(pattern: PartitionPattern) -> str:
    """Returns the first field with a date; empty if there is none."""
    return next((name for name, kind in pattern.fields.items() if kind in _DATED), "")


def series_of(pattern: PartitionPattern, ref: str) -> Series | None:
    """Returns the series of a ref; None if the pattern does not match it or has no date."""
    name = dated_field(pattern)
    fields = pattern.match(ref) if name else None
    return None if fields is None else _series(pattern, name, fields)


def only_series_of(pattern: PartitionPattern) -> Series | None:
    """Returns the series of all refs of a pattern; None unless its only field is a date."""
    name = dated_field(pattern)
    return _series(pattern, name, {}) if name and len(pattern.fields) == 1 else None


def _series(pattern: PartitionPattern, name: str, fields: Mapping[str, str]) -> Series:
    prefix, _, suffix = pattern.ref({**fields, name: _GAP}).partition(_GAP)
    counting = FIELD_TYPES[pattern.fields[name]].counting
    assert counting is not None
    return Series(prefix, suffix, counting)
