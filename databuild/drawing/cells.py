"""The cells of calendars: squares that say how the partitions of a time stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from databuild.drawing.states import STATES, glyph, in_words, worst
from databuild.drawing.svg import MARGIN, group, label, number, rectangle

CELL: Final = 14.0
STEP: Final = 17.0
LEGEND: Final = 48.0
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_UNSIGNED: Final = "available"
"""The one state without a sign in its cells: it would be noise where all is well."""


def draw_cell(when: str, counts: Mapping[str, int], link: str, x: float, y: float) -> str:
    """Draws the cell of a time at a corner."""
    state = worst(counts)
    return group(f"cell state-{state}", f"{when}: {in_words(counts) or 'nothing'}", _square(state, x, y), link)


def _square(state: str, x: float, y: float) -> tuple[str, str]:
    box = rectangle("box", x, y, CELL, CELL, 3)
    return box, "" if state == _UNSIGNED else glyph(state, x + 1, y + 1)


def draw_empty(corners: Iterable[tuple[float, float]]) -> str:
    """Draws the cells of which nothing is known, as one path."""
    squares = "".join(f"M{number(x + 0.5)} {number(y + 0.5)}h13v13h-13z" for x, y in corners)
    return f'<path class="rule" d="{squares}"/>' if squares else ""


def draw_legend(found: Iterable[Mapping[str, int]], y: float) -> Iterable[str]:
    """Draws what the cells mean, of the states that there are."""
    states = {worst(counts) for counts in found}
    x = MARGIN
    for state in (state for state in STATES if state in states):
        word = STATES[state].word
        yield group(f"cell state-{state}", word, _square(state, x, y))
        yield label("quiet", x + STEP + 3, y + 11, word)
        x += STEP + 30 + 7 * len(word)


def in_all(found: Sequence[Mapping[str, int]], unit: str) -> str:
    """Returns what is said of all cells, such as `31 days: 2 failed, 60 available`."""
    total: Counter[str] = Counter()
    for counts in found:
        total.update(counts)
    times = f"{len(found):,} {unit}{'' if len(found) == 1 else 's'}"
    return f"{times}: {in_words(total)}" if total.total() else f"{times} with partitions"
