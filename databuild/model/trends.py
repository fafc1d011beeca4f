"""Numbers of partitions over time: the usual value, values that are far from it, and both in words.

A value is an outlier if its modified z-score, by the median absolute deviation of the values before it, is above 3.5
(Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993). If more than half of these values are equal, that
deviation is 0, and the mean absolute deviation takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.model.schemas import SchemaComparison
from databuild.tuples import NamedTuple

MAX_COMPARED: Final = 30
"""The maximum number of earlier values with which one is compared."""

MIN_COMPARED: Final = 5
"""The minimum number of earlier values for a statement about outliers."""

_MAX_SCORE: Final = 3.5
_MEDIAN_DEVIATION: Final = 1.4826
_MEAN_DEVIATION: Final = 1.253314
"""Factors that turn the deviations into the standard deviation of normally distributed values."""

_MIN_SHARE: Final = 0.005
_MAX_PERCENT: Final = 1000
_SIZES: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Measured(NamedTuple):
    """One value of a partition.

    Attributes:
        ref: The partition.
        date: The date in its ref.
        position: The number of that date, by which distances are measured.
        value: The value.
    """

    ref: str
    date: str
    position: int
    value: float


class TrendPoint(NamedTuple):
    """One value of a trend.

    Attributes:
        ref: The partition.
        date: The date in its ref.
        position: The number of that date, by which distances are measured.
        value: The value.
        outlier: True if the value is far from those before it.
    """

    ref: str
    date: str
    position: int
    value: float
    outlier: bool = False


class Trend(NamedTuple):
    """A number of the partitions of a job over time.

    Attributes:
        name: The name, such as `rows`.
        unit: The unit, such as `bytes` or `s`; empty for a plain count.
        points: The values, oldest date first.
        summary: The newest value, or that of the partition that was asked about, compared with those before it.
    """

    name: str
    unit: str
    points: tuple[TrendPoint, ...]
    summary: str


class Trends(NamedTuple):
    """The numbers of a partition or job over time.

    Attributes:
        trends: The numbers, by name; size and duration are last.
        schema: The schema of the partition compared with an earlier one; None if there are not two.
    """

    trends: tuple[Trend, ...]
    schema: SchemaComparison | None = None


def trend(name: str, unit: str, values: Sequence[Sequence[Measured]], ref: str = "") -> Trend:
    """Returns the trend of a number.

    Args:
        name: The name of the number.
        unit: Its unit.
        values: The values of one or more series, each with its oldest date first. Values are compared within a series.
        ref: The partition of the summary; empty for the newest, which exists only if there is one series.
    """
    points: list[TrendPoint] = []
    summary = ""
    for series in values:
        numbers = [measured.value for measured in series]
        for index, measured in enumerate(series):
            earlier = numbers[max(0, index - MAX_COMPARED) : index]
            points.append(TrendPoint(*measured, is_outlier(measured.value, earlier)))
            if measured.ref == ref or (not ref and len(values) == 1 and index == len(series) - 1):
                summary = summary_text(name, unit, measured.value, earlier)
    points.sort(key=lambda point: (point.position, point.ref))
    return Trend(name, unit, tuple(points), summary)


def is_outlier(value: float, earlier: Sequence[float]) -> bool:
    """Returns True if a value is far from earlier ones; False if these are fewer than `MIN_COMPARED`."""
    if len(earlier) < MIN_COMPARED:
        return False
    median = median_of(earlier)
    deviations = [abs(other - median) for other in earlier]
    spread = _MEDIAN_DEVIATION * median_of(deviations) or _MEAN_DEVIATION * sum(deviations) / len(deviations)
    return abs(value - median) > _MAX_SCORE * spread


def median_of(values: Sequence[float]) -> float:
    """Returns the median of at least one value. Importing `statistics` would take longer than most commands."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def summary_text(name: str, unit: str, value: float, earlier: Sequence[float]) -> str:
    """Compares a value with earlier ones in words: `rows: 1,204, 38 % below the median of the last 30`."""
    shown = f"{name}: {quantity_text(value, unit)}"
    if not earlier:
        return f"{shown}, the first"
    return f"{shown}, {change_text(value, median_of(earlier))} the median of the last {len(earlier)}"


def change_text(value: float, usual: float) -> str:
    """Compares a value with the usual one: `38 % below`, `12 times`, `equal to`."""
    difference = value - usual
    if not difference:
        return "equal to"
    direction = "above" if difference > 0 else "below"
    if not usual:
        return direction
    share = abs(difference / usual)
    if share < _MIN_SHARE:
        return f"less than 1 % {direction}"
    if 100 * share >= _MAX_PERCENT:
        return f"{share + 1:,.0f} times" if value / usual > 0 else f"far {direction}"
    return f"{100 * share:.0f} % {direction}"


def quantity_text(value: float, unit: str) -> str:
    """Returns a number with its unit: `1,204`, `1.5 MiB`, `3.2 s`."""
    if unit == "bytes":
        for size in _SIZES:
            if abs(value) < 1024 or size == _SIZES[-1]:
                return f"{value:,.0f} {size}" if size == "bytes" else f"{value:,.1f} {size}"
            value /= 1024
    shown = f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:,.4g}"
    return f"{shown} {unit}" if unit else shown
