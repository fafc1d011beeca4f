"""SVG elements, and the document around a drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from databuild.drawing.style import STYLE
from databuild.drawing.text import escape, shorten

_OTHER_SCHEME: Final = re.compile(r"(?!https?:)[^/?#]*:", re.IGNORECASE)
MARGIN: Final = 20.0
"""Distance of a drawing from the edge of its canvas."""

_LINE_HEIGHT: Final = 18.0
COLUMN_WIDTH: Final = 7.2
"""Maximum width of a column of text in the default font size."""


def number(value: float) -> str:
    """Formats a length in pixels, with at most one decimal digit."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def label(classes: str, x: float, y: float, text: str, columns: int = 0) -> str:
    """Returns a text element; (x, y) is the left end of its baseline, and `columns` limits its length."""
    shown = shorten(text, columns) if columns else text
    return f'<text class="{classes}" x="{number(x)}" y="{number(y)}">{escape(shown)}</text>'


def rectangle(classes: str, x: float, y: float, width: float, height: float, radius: float) -> str:
    """Returns a rectangle with round corners."""
    geometry = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect class="{classes}" {geometry} rx="{number(radius)}"/>'


def heading(title: str, lines: Sequence[str], width: float) -> tuple[str, ...]:
    """Returns the title of a drawing, and lines of text below it."""
    columns = int((width - 2 * MARGIN) / COLUMN_WIDTH)
    labels = (label("quiet", MARGIN, 50 + _LINE_HEIGHT * index, line, columns) for index, line in enumerate(lines))
    return label("heading", MARGIN, 30, title, columns), *labels


def heading_bottom(lines: Sequence[str]) -> float:
    """Returns the height at which the drawing below a heading begins."""
    return 46 + _LINE_HEIGHT * len(lines)


def group(classes: str, title: str, parts: Iterable[str], link: str = "") -> str:
    """Returns elements as one group with a tooltip. It is a link if `link` is a relative, http or https URL."""
    inner = f"<title>{escape(title)}</title>{''.join(parts)}"
    if not link or _OTHER_SCHEME.match(link):
        return f'<g class="{classes}">{inner}</g>'
    return f'<a href="{escape(link)}" class="{classes}">{inner}</a>'


def document(
    kind: str, title: str, description: str, parts: Iterable[str], width: float, height: float, *, style: bool = False
) -> str:
    """Returns a complete SVG document.

    Args:
        kind: The class of the drawing, such as `job-graph`.
        title: The title.
        description: A summary for screen readers.
        parts: The elements of the drawing.
        width: The width of the canvas, in pixels.
        height: The height of the canvas, in pixels.
        style: True to embed the style sheet, for a file that is not part of a page with it.
    """
    inner = "".join(parts)
    # The role `img` hides all contents from screen readers, which must be able to reach links.
    role = "group" if "<a href=" in inner else "img"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing {kind}{" alone" if style else ""}" role="{role}" '
        f'aria-label="{escape(title)}" width="{number(width)}" height="{number(height)}" '
        f'viewBox="0 0 {number(width)} {number(height)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        f"{f'<style>{STYLE}</style>' if style else ''}{inner}</svg>\n"
    )
