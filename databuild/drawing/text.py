"""Text in drawings: escaping and shortening.

Names in drawings come from users, so every text must pass through `escape`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ENTITIES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("'"): "&#39;"}
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Characters that XML does not allow, and those that change the direction of the following text."""

_ELLIPSIS: Final = "…"


def escape(text: str) -> str:
    """Returns text for an element or an attribute. Forbidden characters become U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", text).translate(_ENTITIES)


def shorten(text: str, columns: int) -> str:
    """Shortens a text to a number of columns by leaving out its middle. A wide character takes two columns."""
    if len(text) * 2 <= columns or text_columns(text) <= columns:
        return text
    # Slices bound the work on a long text: no more characters than columns are ever shown.
    head = _beginning(text[: columns + 1], columns // 2)
    tail = _beginning(text[-columns - 1 :][::-1], columns - 1 - text_columns(head))[::-1]
    return f"{head}{_ELLIPSIS}{tail}"


def job_name(job_label: str) -> str:
    """Returns the name of a label, without its package."""
    return job_label.rpartition(":")[2] or job_label


def text_columns(text: str) -> int:
    """Returns the number of columns that a text takes; a wide character takes two."""
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
