"""The check of a value against those of earlier partitions. Imported only by runs that make one."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MIN_VALUES = 5


def share_of(usual: "str | float") -> float:
    """Returns a share such as `30%` as a number.

    Raises:
        ValueError: It is no share, or is negative.
    """
    try:
        share = float(usual[:-1]) / 100 if isinstance(usual, str) and usual.endswith("%") else float(usual)
    except ValueError:
        share = -1.0
    if not 0 <= share < float("inf"):
        raise ValueError(f"usual is {usual!r}; it must be a share such as '30%' or 0.3")
    return share


def range_message(name: str, value: float, earlier: "Sequence[float]", share: float) -> "tuple[bool, str]":
    """Returns whether a value is within a share of the median of earlier ones, and that in words."""
    if len(earlier) < _MIN_VALUES:
        return True, f"{name} is {value:,.10g}; {len(earlier)} earlier values are too few to compare it with"
    ordered = sorted(earlier)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    difference = value - median
    change = f"{100 * abs(difference / median):.0f} % " if median else ""
    direction = f"{change}{'above' if difference > 0 else 'below'}" if difference else "equal to"
    message = f"{name} is {value:,.10g}, {direction} the median {median:,.10g} of the last {len(earlier)}"
    return abs(difference) <= share * abs(median), f"{message}; {100 * share:.10g} % is usual"
