"""The text of SVG: escaping, numbers, links and the document around a drawing.

What is drawn may have been named by anybody, so nothing reaches the text but through `escape`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from databuild.drawing.style import STYLE

_ENTITIES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("'"): "&#39;"}
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What XML does not allow, and what would turn the direction of the text that follows."""

_OTHER_SCHEME: Final = re.compile(r"(?!https?:)[^/?#]*:", re.IGNORECASE)
MARGIN: Final = 20.0
"""How far a drawing stays away from the edge of its canvas."""

HEADING: Final = 64.0
"""How high the heading of a drawing is."""

_ELLIPSIS: Final = "…"


def escape(text: str) -> str:
    """Returns text as it may stand in an element or an attribute."""
    return _FORBIDDEN.sub("\ufffd", text).translate(_ENTITIES)


def shorten(text: str, columns: int) -> str:
    """Returns a text of at most that many columns; of a longer one the middle is left out."""
    if len(text) * 2 <= columns or _columns(text) <= columns:
        return text
    head = _beginning(text[: columns + 1], columns // 2)
    tail = _beginning(text[-columns - 1 :][::-1], columns - 1 - _columns(head))[::-1]
    return f"{head}{_ELLIPSIS}{tail}"


def number(value: float) -> str:
    """Returns a length, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def label(classes: str, x: float, y: float, text: str, columns: int = 0) -> str:
    """Returns a text element whose baseline begins at a point; `columns` limits its length."""
    shown = shorten(text, columns) if columns else text
    return f'<text class="{classes}" x="{number(x)}" y="{number(y)}">{escape(shown)}</text>'


def heading(title: str, said: str, width: float) -> tuple[str, str]:
    """Returns what stands above a drawing: its title, and a line of what it says."""
    columns = int((width - 2 * MARGIN) / 7.5)
    return label("heading", MARGIN, 30, title, columns), label("quiet", MARGIN, 50, said, columns)


def group(classes: str, title: str, parts: Iterable[str], link: str = "") -> str:
    """Returns parts with a title, as one group, which is a link where there is something to lead to."""
    named = escape(title)
    inner = f"<title>{named}</title>{''.join(parts)}"
    if not link or _OTHER_SCHEME.match(link):
        return f'<g class="{classes}">{inner}</g>'
    return f'<a href="{escape(link)}" class="{classes}" aria-label="{named}">{inner}</a>'


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


def _columns(text: str) -> int:
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _beginning(text: str, columns: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += _width(character)
        if used > columns:
            return text[:position]
    return text
