"""Bounds of the fields of a job: which values exist, such as `2013-01-01..` for a date.

    bounds = [ value ] ".." [ value ]

Both ends are inclusive. Only fields whose values can be counted have bounds.
"""

from __future__ import annotations

from collections.abc import Mapping

from databuild.errors import InvalidPatternError
from databuild.graph.field_types import FIELD_TYPES, Counting, a_kind
from databuild.tuples import NamedTuple

_DOTS = ".."


class Bounds(NamedTuple):
    """The values of a field that exist.

    Attributes:
        text: The bounds as they were written.
        counting: The values of the field as numbers.
        first: The number of the first value; None without one.
        last: The number of the last value; None without one.
    """

    text: str
    counting: Counting
    first: int | None
    last: int | None

    @property
    def first_text(self) -> str:
        """The first value; empty without one."""
        return self.text.partition(_DOTS)[0]

    @property
    def last_text(self) -> str:
        """The last value; empty without one."""
        return self.text.partition(_DOTS)[2]

    def contains(self, value: str) -> bool:
        """Returns True if a value exists. False for a text that is no value of the type."""
        number = self.counting.parse(value)
        return (
            number is not None
            and (self.first is None or number >= self.first)
            and (self.last is None or number <= self.last)
        )


def parse_bounds(field: str, text: str, fields: Mapping[str, str]) -> Bounds:
    """Reads the bounds of a field.

    Args:
        field: The name of the field.
        text: The bounds.
        fields: The type of each field of the job, as in `PartitionPattern.fields`.

    Raises:
        InvalidPatternError: The field does not exist or cannot be counted, or the text is no bounds of its type.
    """
    kind = fields.get(field)
    if kind is None:
        fault = (
            f"bounds are for {field!r}, which is no field of `outputs`; the fields are: {', '.join(fields) or 'none'}"
        )
        raise InvalidPatternError(text, fault)
    counting = FIELD_TYPES[kind].counting if kind in FIELD_TYPES else None
    if counting is None:
        raise InvalidPatternError(text, f"the field {field!r} is {a_kind(kind)}, and has no order to have bounds in")
    first_text, dots, last_text = text.partition(_DOTS)
    if not dots or not (first_text or last_text):
        example = FIELD_TYPES[kind].example
        fault = (
            f"bounds of {field!r} are a first value, `..` and a last value, such as '{example}..'; one may be left out"
        )
        raise InvalidPatternError(text, fault)
    ends = []
    for end in (first_text, last_text):
        number = counting.parse(end) if end else None
        if end and (number is None or counting.format(number) != end):
            raise InvalidPatternError(text, f"{end!r} is not {a_kind(kind)} such as {FIELD_TYPES[kind].example}")
        ends.append(number)
    first, last = ends
    if first is not None and last is not None and first > last:
        raise InvalidPatternError(text, f"the bounds of {field!r} end before they begin")
    return Bounds(text, counting, first, last)
