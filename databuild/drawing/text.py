"""Text that is drawn: made harmless and short.

What is drawn may have been named by anybody, so nothing reaches a drawing but through `escape`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ENTITIES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("'"): "&#39;"}
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What XML does not allow, and what would turn the direction of the text that follows."""

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


def short_name(job_label: str) -> str:
    """Returns what is told apart by eye of a label: its name, without its package."""
    return job_label.rpartition(":")[2] or job_label


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
