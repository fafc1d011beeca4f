"""Expressions over the fields of a partition pattern, such as `{date-1}`, `{month.dates}` or `{date-6..date}`.

    expression = "{" point [ ".." point ] [ ":" format ] "}"
    point      = field { "." step | ( "+" | "-" ) integer [ unit ] }
    step       = unit name | "first_" unit name | "last_" unit name | unit name "s"
    unit       = "h" | "d" | "w" | "mo" | "q" | "y"

An expression yields one value, or every value of an inclusive range. Over the values of its field, both ends of the
range are monotonic functions. So the values of the field that yield a given value are a range, too, and a binary search
finds its ends: see `Expression.sources`.

This does not know jobs, records or partitions other than as text.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from databuild.errors import InvalidPatternError
from databuild.graph.declared.formats import check_format, formatted
from databuild.graph.field_types import BELOW_DAYS, OF_MONTHS, a_kind
from databuild.graph.memo import Memo
from databuild.graph.periods import (
    HOURS_PER_DAY,
    MINUTES_PER_DAY,
    SUFFIXES,
    UNITS,
    CalendarRangeError,
    Unit,
    can_move_by,
    containing,
    first_part,
    has_parts,
    last_part,
    moved,
)

_MAX_KEPT_VALUES: Final = 64
"""The maximum number of values of one text that are kept."""

MAX_VALUES: Final = 1_000_000
"""The largest number of values that a template may yield, all combinations counted."""

Move = Callable[[int], int]

_POINT: Final = re.compile(r"([A-Za-z_]\w*)((?:\.\w+|[+-]\w+)*)", re.ASCII)
_STEP: Final = re.compile(r"\.(?P<part>\w+)|(?P<sign>[+-])(?P<count>\d+)(?P<suffix>[A-Za-z]*)(?!\w)", re.ASCII)


class Expression:
    """One expression in braces.

    Attributes:
        text: The expression as it was written, with its braces.
        field: The name of its field.
        field_kind: The type of its field.
        kind: The type of the values that it yields.
        is_list: True if it may yield any number of values.
        low: Returns the first value for a value of the field, as numbers; None if values pass unchanged.
        high: Returns the last value in the same way.
        format: The format of the values; empty for their form in refs.
        moves_by_months: True if hours or minutes move by months, which does not always keep their order.
        uses_months: True if the lengths of months may matter.
    """

    # No dataclass: making one takes longer than reading the expressions of a graph.
    __slots__ = (
        "_known",
        "field",
        "field_kind",
        "format",
        "high",
        "is_list",
        "kind",
        "low",
        "moves_by_months",
        "text",
        "uses_months",
    )

    def __init__(
        self,
        text: str,
        field: str,
        field_kind: str,
        kind: str,
        is_list: bool = False,
        low: Move | None = None,
        high: Move | None = None,
        form: str = "",
        moves_by_months: bool = False,
        uses_months: bool = False,
    ) -> None:
        self.text = text
        self.field = field
        self.field_kind = field_kind
        self.kind = kind
        self.is_list = is_list
        self.low = low
        self.high = high
        self.format = form
        self.moves_by_months = moves_by_months
        self.uses_months = uses_months
        # Different refs often have the same text of a field: the same day of many regions, or many days of one region.
        self._known: Memo[Sequence[str]] = Memo(self._computed, keeps=lambda values: len(values) <= _MAX_KEPT_VALUES)

    def values(self, text: str) -> Sequence[str]:
        """Returns the values for the text of the field, in order.

        Raises:
            InvalidPatternError: They leave the years 1 to 9999, or are more than MAX_VALUES.
        """
        return (text,) if self.low is None else self._known[text]

    def values_of(self, texts: Sequence[str]) -> Iterable[Sequence[str]]:
        """Returns the values for each of several texts; see `values`."""
        return zip(texts) if self.low is None else map(self._known.__getitem__, texts)  # zip makes tuples of one

    def value_of(self, texts: Sequence[str]) -> Iterable[str]:
        """Returns the only value for each of several texts, for an expression that is not a list; see `values`."""
        return texts if self.low is None else [value for (value,) in map(self._known.__getitem__, texts)]

    def _computed(self, text: str) -> Sequence[str]:
        assert self.low is not None
        assert self.high is not None
        number = number_of(self.field_kind, text)
        try:
            low = self.low(number)
            high = low if self.high is self.low else self.high(number)
        except CalendarRangeError as error:
            fault = (
                f"for {self.field} = {text} it yields {a_kind(self.kind)} {error}; the calendar has the years 1 to 9999"
            )
            raise InvalidPatternError(self.text, fault) from None
        if high - low >= MAX_VALUES:
            fault = f"for {self.field} = {text} it yields {high - low + 1:,} values; at most {MAX_VALUES:,} are allowed"
            raise InvalidPatternError(self.text, fault)
        form = functools.partial(formatted, self.kind, self.format) if self.format else _FORMATS[self.kind]
        return [form(value) for value in range(low, high + 1)]

    def sources(self, value: int, first: int, last: int, *, until: int | None = None) -> tuple[range, ...]:
        """Returns the values of the field that yield a value, in ascending order.

        Args:
            value: The value.
            first: The first value of the field.
            last: The last value of the field.
            until: The last of several values, each of which will do; None for only one.
        """
        until = value if until is None else until
        if self.low is None or self.high is None:
            return (range(max(first, value), min(last, until) + 1),)
        if not self.moves_by_months:
            return (self._sources_between(value, until, first, last),)
        # Days move in order, and the times of one day do; times of different days may change places, where the month
        # that they move to is shorter. At most four days move to one, so that all others lie between those.
        per_day = MINUTES_PER_DAY if self.field_kind == "minute" else HOURS_PER_DAY
        days = range(first // per_day, last // per_day + 1)
        low, high = self.low, self.high
        start = first_reached(days.start, days.stop, lambda day: image(high, (day + 1) * per_day - 1) >= value)
        stop = first_reached(start, days.stop, lambda day: image(low, day * per_day) > until)
        edges = {*range(start, min(start + 4, stop)), *range(max(start, stop - 4), stop)}
        ranges = [
            self._sources_between(value, until, max(first, day * per_day), min(last, (day + 1) * per_day - 1))
            for day in sorted(edges)
        ]
        if stop - start > 2 * 4:
            ranges.insert(4, range((start + 4) * per_day, (stop - 4) * per_day))
        return tuple(ranges)

    def _sources_between(self, value: int, until: int, first: int, last: int) -> range:
        """Returns the sources of the values up to `until`; both ends of the expression must ascend all the way."""
        low, high = self.low or _unchanged, self.high or _unchanged
        start = first_reached(
            first, last + 1, lambda number: image(high, number) >= value and image(low, number) > -math.inf
        )
        stop = first_reached(
            start, last + 1, lambda number: image(low, number) > until or image(high, number) == math.inf
        )
        return range(start, stop)


def first_reached(start: int, stop: int, is_reached: Callable[[int], bool]) -> int:
    """Returns the first number from `start` that a predicate holds for, and then for all later ones; `stop` if none."""
    while start < stop:
        middle = (start + stop) // 2
        if is_reached(middle):
            stop = middle
        else:
            start = middle + 1
    return start


def image(move: Move, number: int) -> float:
    """Returns the image of a value; minus or plus infinity if it lies before or after the calendar."""
    try:
        return move(number)
    except CalendarRangeError as error:
        return -math.inf if error.early else math.inf


def parse_expression(text: str, fields: Mapping[str, str], *, lists: bool, formats: bool) -> Expression:
    """Reads one expression in braces; see `templates.parse_template`.

    Raises:
        InvalidPatternError: It cannot be read, or is not allowed for the type of its field.
    """
    points, colon, form = text[1:-1].partition(":")
    if colon and not formats:
        raise InvalidPatternError(text, "a format is allowed in `args` and `env` only; refs have one form")
    low_text, dots, high_text = points.partition("..")
    low = _Point(text, low_text, fields)
    high = _Point(text, high_text, fields) if dots else low
    if dots and (low.is_list or high.is_list):
        fault = "an end of a range is one value; `first_` and `last_`, as in `first_date`, yield one"
        raise InvalidPatternError(text, fault)
    if high.field != low.field:
        fault = f"both ends of a range are over one field, and these are over {low.field!r} and {high.field!r}"
        raise InvalidPatternError(text, fault)
    if high.kind != low.kind:
        raise InvalidPatternError(text, f"one end of the range is {a_kind(low.kind)}, the other {a_kind(high.kind)}")
    if dots and low.kind not in _FORMATS:
        raise InvalidPatternError(
            text, f"only {_COUNTED} have ranges, and the field {low.field!r} is {a_kind(low.kind)}"
        )
    is_list = bool(dots) or low.is_list
    if is_list and not lists:
        fault = "it yields many values where one is needed; `first_` and `last_`, as in `first_date`, yield one"
        raise InvalidPatternError(text, fault)
    if colon:
        check_format(text, low.kind, form)
    moves: tuple[Move | None, Move | None] = (low.low, high.high if high is not low else low.high)
    if low.is_changed or high.is_changed or dots or colon:
        by_months = low.moves_by_months or high.moves_by_months
        uses_months = low.uses_months or high.uses_months
        return Expression(text, low.field, fields[low.field], low.kind, is_list, *moves, form, by_months, uses_months)
    return Expression(text, low.field, fields[low.field], low.kind)


class _Point:
    """One end of an expression while it is read.

    Attributes:
        field: Its field.
        kind: The type of its values.
        is_list: True if it yields all parts of a period.
        is_changed: True if it has steps.
        moves_by_months: True if one of them moves hours or minutes by months.
        uses_months: True if one of them is about months, quarters or years.
        low: Returns its first value for a value of the field, as numbers; `high` returns the last.
    """

    def __init__(self, expression: str, text: str, fields: Mapping[str, str]) -> None:
        match = _POINT.fullmatch(text)
        if match is None:
            fault = "it is no expression; write a field, such as {date}, an offset, such as {date-1}, or a range"
            raise InvalidPatternError(expression, fault)
        self.field = match[1]
        if self.field not in fields:
            names = ", ".join(fields) or "none"
            raise InvalidPatternError(expression, f"{self.field!r} is no field of `outputs`; the fields are: {names}")
        self.kind = self._field_kind = fields[self.field]
        self._leaves_days = False
        self.is_list = False
        self.is_changed = bool(match[2])
        self.moves_by_months = False
        self.uses_months = self.kind in OF_MONTHS
        self.low: Move = _unchanged
        self.high: Move = _unchanged
        self._expression = expression
        position = 0
        while position < len(match[2]):
            step = _STEP.match(match[2], position)
            if step is None:
                raise self._error(f"{match[2][position:]!r} is no step; steps are `.month`, `-1` or `+2w`")
            if self.is_list:
                raise self._error(f"nothing may follow a list, and {step[0]!r} does")
            if step["part"]:
                self._take_part(step["part"])
            else:
                self._move(int(step["sign"] + step["count"]), step["suffix"])
            position = step.end()

    def _error(self, fault: str) -> InvalidPatternError:
        return InvalidPatternError(self._expression, fault)

    def _then(self, move: Move) -> None:
        before = self.low
        self.low = self.high = move if before is _unchanged else _chained(before, move)

    def _move(self, count: int, suffix: str) -> None:
        if self.kind == "int":
            if suffix:
                raise self._error("an int has no units")
            self._then(functools.partial(int.__add__, count))
            return
        unit = UNITS.get(self.kind)
        if unit is None:
            raise self._error(f"the field {self.field!r} is {a_kind(self.kind)}, and only {_COUNTED} have offsets")
        step = UNITS[SUFFIXES[suffix]] if suffix in SUFFIXES else None if suffix else unit
        if step is None or not can_move_by(unit, step):
            allowed = [f"`{name}`" for name, longer in SUFFIXES.items() if can_move_by(unit, UNITS[longer])]
            raise self._error(
                f"{a_kind(self.kind)} cannot move by {suffix!r}; its units are {', '.join(allowed) or 'none'}"
            )
        self.uses_months |= step.name in OF_MONTHS
        if self._field_kind in BELOW_DAYS:
            if step.name in OF_MONTHS:
                if self._leaves_days:
                    raise self._error("offsets in months, quarters and years come before offsets in hours and minutes")
                self.moves_by_months = True
            self._leaves_days |= step.name in BELOW_DAYS
        self._then(functools.partial(_moved, unit, count, step))

    def _take_part(self, part: str) -> None:
        unit = UNITS.get(self.kind)
        if unit is None:
            raise self._error(f"the field {self.field!r} is {a_kind(self.kind)}, which has no part {part!r}")
        name, choice = part, ""
        if part.startswith(("first_", "last_")):
            choice, _, name = part.partition("_")
        elif part.endswith("s"):
            choice, name = "all", part[:-1]
        other = UNITS.get(name)
        if other is not None and not choice and other.name in unit.within:
            self._then(functools.partial(_containing, unit, other))
        elif other is not None and choice and has_parts(unit, other):
            first, last = functools.partial(_first_part, unit, other), functools.partial(_last_part, unit, other)
            if choice == "all":
                before = self.low
                self.low, self.high = _chained(before, first), _chained(before, last)
                self.is_list = True
            else:
                self._then(first if choice == "first" else last)
        else:
            raise self._error(f"{a_kind(self.kind)} has no {part!r}; it has {_parts_of(unit)}")
        self.kind = name
        self.uses_months |= name in OF_MONTHS


def _unchanged(number: int) -> int:
    return number


def _chained(first: Move, then: Move) -> Move:
    return then if first is _unchanged else lambda number: then(first(number))


def _moved(unit: Unit, count: int, step: Unit, period: int) -> int:
    return moved(unit, period, count, step)


def _containing(unit: Unit, longer: Unit, period: int) -> int:
    return containing(unit, period, longer)


def _first_part(unit: Unit, shorter: Unit, period: int) -> int:
    return first_part(unit, period, shorter)


def _last_part(unit: Unit, shorter: Unit, period: int) -> int:
    return last_part(unit, period, shorter)


def _parts_of(unit: Unit) -> str:
    """Returns the steps that a period of a unit allows, in words."""
    shorter = [other.name for other in UNITS.values() if has_parts(unit, other)]
    steps = [f"`.{name}`" for name in unit.within]
    steps += [f"`.{form}`" for name in shorter for form in (f"{name}s", f"first_{name}", f"last_{name}")]
    return ", ".join(steps) or "no parts"


_FORMATS: Final[Mapping[str, Callable[[int], str]]] = {"int": str} | {name: unit.format for name, unit in UNITS.items()}
_COUNTED: Final = f"fields of the types {', '.join(_FORMATS)}"


def number_of(kind: str, text: str) -> int:
    """Returns the number of a value of a type that can be counted.

    Raises:
        ValueError: The text is no value of the type.
    """
    return int(text) if kind == "int" else UNITS[kind].parse(text)
