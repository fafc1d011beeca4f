"""Static files of the dashboard, with addresses that change with their content."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

from databuild.drawing.style import STYLE
from databuild.tuples import NamedTuple

_FOLDER: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A static file.

    Attributes:
        content: Content of the file.
        media_type: Media type, such as `text/css`.
        address: Path with a hash of the content, so that browsers can cache it without expiry.
    """

    content: bytes
    media_type: str
    address: str


@functools.cache
def assets() -> dict[str, Asset]:
    """Returns all static files by name."""
    contents = {path.name: path.read_bytes() for path in _FOLDER.iterdir()}
    contents["drawings.css"] = STYLE.encode()
    return {
        name: Asset(
            content,
            _MEDIA_TYPES[Path(name).suffix],
            f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}",
        )
        for name, content in contents.items()
    }
