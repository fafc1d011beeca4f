"""Expressions over counted fields as functions from a number to an interval of numbers.

Both ends are monotonic. For expressions that are not (hours or minutes that move by months), the interval is widened to
that of the whole day. An image outside the years 1 to 9999 is minus or plus infinity.
"""

from __future__ import annotations

import math

from databuild.graph.declared.expressions import Expression, Move, first_reached, image
from databuild.graph.periods import HOURS_PER_DAY, MINUTES_PER_DAY
from databuild.graph.proofs.value_sets import is_counted
from databuild.tuples import NamedTuple


class IntervalMap(NamedTuple):
    """The values that an expression yields, as numbers.

    Attributes:
        first: Returns the first value.
        last: Returns the last value; it may be less than the first one if there are none.
        per_day: The number of values of the field that are widened to one interval; 1 if the ends are exact.
        uses_months: True if the lengths of months may matter.
        is_shift: True if the distance from a number to each of its values is the same for all numbers.
    """

    first: Move | None = None
    last: Move | None = None
    per_day: int = 1
    uses_months: bool = False
    is_shift: bool = True

    @property
    def is_exact(self) -> bool:
        return self.per_day == 1

    def low(self, number: float) -> float:
        """Returns the lowest value for a number; infinite numbers are their own images."""
        if self.first is None or not isinstance(number, int):
            return number
        return image(self.first, number - number % self.per_day)

    def high(self, number: float) -> float:
        if self.last is None or not isinstance(number, int):
            return number
        return image(self.last, number - number % self.per_day + self.per_day - 1)

    def interval(self, number: int) -> tuple[int, int] | None:
        """Returns the exact interval for one number; None if a value lies outside the years 1 to 9999."""
        low = number if self.first is None else image(self.first, number)
        high = number if self.last is None else image(self.last, number)
        return (low, high) if isinstance(low, int) and isinstance(high, int) else None

    def valid(self, first: int, last: int) -> tuple[int, int]:
        """Returns the ends of the numbers from `first` to `last` all of whose values lie in the years 1 to 9999."""
        low, high = self.first, self.last
        if low is None or high is None or self.is_shift or (self.interval(first) and self.interval(last)):
            return first, last
        start = first_reached(first, last + 1, lambda n: image(low, n) > -math.inf and image(high, n) > -math.inf)
        stop = first_reached(start, last + 1, lambda n: image(low, n) == math.inf or image(high, n) == math.inf)
        return start, stop - 1

    def sources(self, values: tuple[int, int], first: int, last: int) -> tuple[int, int]:
        """Returns the ends of the numbers from `first` to `last` that may yield a value of an interval.

        Exact if the ends of this map are, and if the map yields at least one value for each number.
        """
        if self.is_shift:
            low, high = int(self.low(0)), int(self.high(0))
            return max(first, values[0] - high), min(last, values[1] - low)
        start = first_reached(first, last + 1, lambda n: self.high(n) >= values[0] and self.low(n) > -math.inf)
        stop = first_reached(start, last + 1, lambda n: self.low(n) > values[1] or self.high(n) == math.inf)
        return start, stop - 1


def interval_map(expression: Expression) -> IntervalMap:
    """Returns the map of an expression, whose field may also be a text that is known to be a number."""
    if expression.low is None or expression.high is None:
        return IntervalMap(uses_months=expression.uses_months)
    per_day = 1
    if expression.moves_by_months:
        per_day = MINUTES_PER_DAY if expression.field_kind == "minute" else HOURS_PER_DAY
    assert is_counted(expression.kind)
    return IntervalMap(
        expression.low, expression.high, per_day, expression.uses_months, is_shift=expression.kind == "int"
    )
