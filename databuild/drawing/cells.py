"""Cells of calendars: squares that show the state of the partitions of one day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from databuild.drawing.states import STATES, counts_text, glyph, most_severe
from databuild.drawing.svg import MARGIN, group, label, number, rectangle

CELL_SIZE: Final = 14.0
STEP: Final = 17.0
LEGEND_HEIGHT: Final = 48.0
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_WITHOUT_GLYPH: Final = "available"
"""The only state without a glyph in its cells, so that the cells of other states stand out."""


def draw_cell(date: str, counts: Mapping[str, int], link: str, x: float, y: float) -> str:
    """Draws a cell; (x, y) is its top left corner."""
    state = most_severe(counts)
    return group(f"cell state-{state}", f"{date}: {counts_text(counts) or 'nothing'}", _square(state, x, y), link)


def _square(state: str, x: float, y: float) -> tuple[str, str]:
    box = rectangle("box", x, y, CELL_SIZE, CELL_SIZE, 3)
    return box, "" if state == _WITHOUT_GLYPH else glyph(state, x + 1, y + 1)


def draw_unknown_cells(corners: Iterable[tuple[float, float]]) -> str:
    """Draws the cells of days without partitions, as one path."""
    squares = "".join(f"M{number(x + 0.5)} {number(y + 0.5)}h13v13h-13z" for x, y in corners)
    return f'<path class="rule" d="{squares}"/>' if squares else ""


def draw_legend(cells: Iterable[Mapping[str, int]], y: float) -> Iterable[str]:
    """Draws a legend of the states that cells have; each cell is given by its counts."""
    states = {most_severe(counts) for counts in cells}
    x = MARGIN
    for state in (state for state in STATES if state in states):
        word = STATES[state].word
        yield group(f"cell state-{state}", word, _square(state, x, y))
        yield label("quiet", x + STEP + 3, y + 11, word)
        x += STEP + 30 + 7 * len(word)


def summary_text(cells: Sequence[Mapping[str, int]], unit: str) -> str:
    """Sums up cells, such as `31 days: 2 failed, 60 available`."""
    total: Counter[str] = Counter()
    for counts in cells:
        total.update(counts)
    units = f"{len(cells):,} {unit}{'' if len(cells) == 1 else 's'}"
    return f"{units}: {counts_text(total)}" if total.total() else f"{units} with partitions"
