"""Elements of SVG, and the document around a drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from databuild.drawing.style import STYLE
from databuild.drawing.text import escape, shorten

_OTHER_SCHEME: Final = re.compile(r"(?!https?:)[^/?#]*:", re.IGNORECASE)
MARGIN: Final = 20.0
"""How far a drawing stays away from the edge of its canvas."""

_LINE: Final = 18.0
_COLUMN: Final = 7.2
"""How wide a column of text is, at most."""


def number(value: float) -> str:
    """Returns a length, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def label(classes: str, x: float, y: float, text: str, columns: int = 0) -> str:
    """Returns a text element whose baseline begins at a point; `columns` limits its length."""
    shown = shorten(text, columns) if columns else text
    return f'<text class="{classes}" x="{number(x)}" y="{number(y)}">{escape(shown)}</text>'


def rectangle(classes: str, x: float, y: float, width: float, height: float, radius: float) -> str:
    """Returns a rectangle with round corners."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect class="{classes}" {place} rx="{number(radius)}"/>'


def heading(title: str, lines: Sequence[str], width: float) -> tuple[str, ...]:
    """Returns what stands above a drawing: its title, and lines of what it says."""
    columns = int((width - 2 * MARGIN) / _COLUMN)
    said = (label("quiet", MARGIN, 50 + _LINE * place, line, columns) for place, line in enumerate(lines))
    return label("heading", MARGIN, 30, title, columns), *said


def below_heading(lines: Sequence[str]) -> float:
    """Returns where a drawing begins below its heading."""
    return 46 + _LINE * len(lines)


def group(classes: str, title: str, parts: Iterable[str], link: str = "") -> str:
    """Returns parts with a title, as one group, which is a link where there is something to lead to."""
    inner = f"<title>{escape(title)}</title>{''.join(parts)}"
    if not link or _OTHER_SCHEME.match(link):
        return f'<g class="{classes}">{inner}</g>'
    return f'<a href="{escape(link)}" class="{classes}">{inner}</a>'


def document(
    kind: str, title: str, description: str, parts: Iterable[str], width: float, height: float, *, style: bool
) -> str:
    """Returns a whole drawing.

    Args:
        kind: The class of the drawing, such as `job-graph`.
        title: What it shows.
        description: What it says, for those who do not see it.
        parts: The elements that it is made of.
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.
        style: Whether the style sheet is embedded; a page that has it already does not need it.
    """
    inner = "".join(parts)
    # An image hides what is in it from those who do not see it, its links too.
    role = "group" if "<a href=" in inner else "img"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing {kind}{" alone" if style else ""}" role="{role}" '
        f'aria-label="{escape(title)}" width="{number(width)}" height="{number(height)}" '
        f'viewBox="0 0 {number(width)} {number(height)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        f"{f'<style>{STYLE}</style>' if style else ''}{inner}</svg>\n"
    )
