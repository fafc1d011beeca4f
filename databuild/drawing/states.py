"""The states that are drawn: their words, their glyphs and which of several counts most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from databuild.drawing.svg import number


class State(NamedTuple):
    """How a state is shown besides its colour.

    Attributes:
        word: What it is called in texts.
        glyph: The path of its sign, in a square of 12 by 12.
    """

    word: str
    glyph: str


_CHECK: Final = "M2 6.5 5 9.5 10 3"
_PLAY: Final = "M4 2.5 9.5 6 4 9.5Z"
_CIRCLE: Final = "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9"

STATES: Final[Mapping[str, State]] = {
    "failed": State("failed", "M3 3 9 9M9 3 3 9"),
    "tainted": State("tainted", "M6 1.5 11 10.5H1ZM6 4.7V7.2M6 8.8V9"),
    "stale": State("stale", f"{_CIRCLE}M6 3.5V6L8 7.2"),
    "running": State("running", _PLAY),
    "building": State("building", _PLAY),
    "cancelled": State("cancelled", f"{_CIRCLE}M2.8 9.2 9.2 2.8"),
    "pending": State("pending", _CIRCLE),
    "missing": State("missing", "M3 6H9"),
    "skipped": State("skipped", "M2 3 6 6 2 9M6.5 3 10.5 6 6.5 9"),
    "completed": State("done", _CHECK),
    "available": State("available", _CHECK),
    "planned": State("planned", ""),
}
"""Every state, the most alarming first: of several, the first stands for all."""

_ORDER: Final = {state: place for place, state in enumerate(STATES)}


def state_of(status: str) -> str:
    """Returns the state of a job run's status by name, such as `SCHEDULED`; of none, that of a task that waits."""
    return "pending" if status in {"", "SCHEDULED"} else status.lower()


def worst(counts: Mapping[str, int]) -> str:
    """Returns the state that stands for all that are counted."""
    return min((state for state, count in counts.items() if count), key=_ORDER.__getitem__, default="missing")


def in_words(counts: Mapping[str, int], columns: int = 0) -> str:
    """Returns counts by state as text, such as `3 failed, 1,200 done`; `columns` leaves out what comes last."""
    counted = sorted((item for item in counts.items() if item[1]), key=lambda item: _ORDER[item[0]])
    words = [f"{count:,} {STATES[state].word}" for state, count in counted]
    shown = len(words)
    while columns and shown > 1 and len(", ".join(words[:shown])) + 3 * (shown < len(words)) > columns:
        shown -= 1
    return ", ".join([*words[:shown], "…"] if shown < len(words) else words)


def glyph(state: str, x: float, y: float) -> str:
    """Returns the sign of a state, its corner at a point."""
    path = STATES[state].glyph
    return f'<path class="glyph" transform="translate({number(x)} {number(y)})" d="{path}"/>' if path else ""
