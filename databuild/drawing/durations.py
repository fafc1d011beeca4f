"""Durations as text, and the marks of an axis of time."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))
_STEPS: Final = (
    *(mantissa * 10.0**power for power in (-3, -2, -1) for mantissa in (1, 2, 5)),
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600.0 * hours for hours in (1, 2, 3, 6, 12)),
    *(86400.0 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
)


def duration_text(seconds: float) -> str:
    """Returns a duration in its two largest units, such as `1 h 5 m`, `12.5 s` or `80 ms`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    seconds = round(seconds)
    for size, unit in _UNITS:
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            below = {"d": (3600.0, "h"), "h": (60.0, "m"), "m": (1.0, "s")}[unit]
            second = int(rest // below[0])
            return f"{whole:.0f} {unit}" + (f" {second} {below[1]}" if second else "")
    return f"{seconds} s"


def ticks(seconds: float, most: int) -> list[float]:
    """Returns the marks of an axis that begins at 0: at most so many, at round durations."""
    step = next((step for step in _STEPS if seconds / step < most), 0.0) or seconds / max(most - 1, 1)
    return [step * count for count in range(int(seconds / step + 1e-9) + 1)]
