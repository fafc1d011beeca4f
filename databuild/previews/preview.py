"""Previews and their limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_ROWS: Final = 50
MAX_COLUMNS: Final = 50
MAX_CELL: Final = 200
"""Limits of a table: rows, columns, and characters of one value."""

MAX_TEXT_BYTES: Final = 64 * 1024
MAX_PICTURE_BYTES: Final = 8 * 1024 * 1024
MAX_PIXELS: Final = 50_000_000
MAX_OBJECT_BYTES: Final = 32 * 1024 * 1024
"""The maximum size of an object in a store that is read as a whole, such as a Parquet file."""

MAX_FILES: Final = 1000
"""The maximum number of files of a folder that are looked at."""


class Unavailable(Exception):  # noqa: N818 - an answer, not a fault
    """There is no preview. The message is one sentence without a full stop, for people."""


@dataclass(kw_only=True, slots=True)
class Preview:
    """A preview: a table, a text or a picture.

    Attributes:
        columns: The names and types of the columns of a table.
        rows: Its rows.
        text: A text; None if it is no text.
        picture: The content of a picture; empty if it is none.
        media_type: The type of the picture.
        truncated: True if there is more data.
        unavailable: The reason why there is no preview; empty if there is one.
    """

    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    text: str | None = None
    picture: bytes = b""
    media_type: str = ""
    truncated: bool = False
    unavailable: str = ""
