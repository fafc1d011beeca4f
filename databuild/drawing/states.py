"""States of partitions, tasks and job runs in drawings: words, glyphs and severity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from databuild.drawing.svg import number


class State(NamedTuple):
    """The representation of a state besides its colour.

    Attributes:
        word: Its name in texts.
        glyph: The path data of its glyph, in a square of 12 by 12; empty for none.
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
"""Every state, the most severe first. The most severe state represents several."""

_ORDER: Final = {state: index for index, state in enumerate(STATES)}


def state_of(status: str) -> str:
    """Returns the state for the status name of a job run, such as `SCHEDULED`; empty means a task without a run."""
    return "pending" if status in {"", "SCHEDULED"} else status.lower()


def most_severe(counts: Mapping[str, int]) -> str:
    """Returns the most severe state with a count above 0; `missing` without any."""
    return min((state for state, count in counts.items() if count), key=_ORDER.__getitem__, default="missing")


def counts_text(counts: Mapping[str, int], columns: int = 0) -> str:
    """Returns counts by state as text, such as `3 failed, 1,200 done`, cut at the end to fit into `columns`."""
    counted = sorted((item for item in counts.items() if item[1]), key=lambda item: _ORDER[item[0]])
    words = [f"{count:,} {STATES[state].word}" for state, count in counted]
    shown = len(words)
    while columns and shown > 1 and len(", ".join(words[:shown])) + 3 * (shown < len(words)) > columns:
        shown -= 1
    return ", ".join([*words[:shown], "…"] if shown < len(words) else words)


def glyph(state: str, x: float, y: float) -> str:
    """Returns the glyph of a state; (x, y) is its top left corner."""
    path = STATES[state].glyph
    return f'<path class="glyph" transform="translate({number(x)} {number(y)})" d="{path}"/>' if path else ""
