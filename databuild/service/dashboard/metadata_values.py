"""Metadata of a partition for its page, by the types of `databuild/job/values.py`. A malformed value is JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from markupsafe import Markup

from databuild.model.metadata import TYPE_MEMBER, image_uri, schema_of
from databuild.service.dashboard.formats import shortened, struct_value
from databuild.service.dashboard.markdown import link, rendered
from databuild.tuples import NamedTuple

MAX_ROWS: Final = 50
"""The maximum number of rows of a table that are shown."""

_MAX_COLUMNS: Final = 50
_MAX_CELL: Final = 200
_WEB_URL: Final = re.compile(r"https?://[^\s\"<>]{1,2000}")


class MetadataValue(NamedTuple):
    """One value.

    Attributes:
        name: Its name.
        kind: `text`, `html`, `table` or `image`.
        text: The text, or the description of the picture.
        html: The markup of `html`.
        columns: The columns of a table.
        rows: The rows of a table.
        more_rows: The number of rows that are not shown.
    """

    name: str
    kind: str
    text: str = ""
    html: Markup = Markup("")
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more_rows: int = 0


def metadata_values(metadata: Struct) -> Iterator[MetadataValue]:
    """Yields the values of metadata, by name; short ones first."""
    values = [_value(name, metadata.fields[name]) for name in sorted(metadata.fields)]
    yield from sorted(values, key=lambda value: value.kind not in {"text", "html"})


def _value(name: str, value: Any) -> MetadataValue:
    if value.WhichOneof("kind") == "struct_value":
        typed = _typed(name, json_format.MessageToDict(value.struct_value))
        if typed is not None:
            return typed
    return MetadataValue(name, "text", struct_value(value))


def _typed(name: str, value: dict[str, Any]) -> MetadataValue | None:
    kind, text = value.get(TYPE_MEMBER), value.get("text", "")
    if not isinstance(text, str):
        return None
    if kind == "markdown":
        return MetadataValue(name, "markdown", html=rendered(text))
    if kind == "link" and isinstance(url := value.get("url"), str) and _WEB_URL.fullmatch(url):
        return MetadataValue(name, "html", html=link(url, text or url))
    if image_uri(value) is not None:
        return MetadataValue(name, "image", text)
    if (schema := schema_of({name: value})) is not None:
        return _table(name, ("column", "type"), tuple(schema.items()))
    return _reported_table(name, value.get("columns"), value.get("rows")) if kind == "table" else None


def _reported_table(name: str, columns: Any, rows: Any) -> MetadataValue | None:
    if not isinstance(columns, list) or not isinstance(rows, list) or not columns:
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    shown = tuple(tuple(map(_cell, row[:_MAX_COLUMNS])) for row in rows[:MAX_ROWS])
    return _table(name, tuple(map(_cell, columns[:_MAX_COLUMNS])), shown, len(rows) - len(shown))


def _table(name: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], more_rows: int = 0) -> MetadataValue:
    return MetadataValue(
        name, "table", columns=columns, rows=rows[:MAX_ROWS], more_rows=more_rows + max(0, len(rows) - MAX_ROWS)
    )


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():  # a Struct holds all numbers as doubles
        return f"{value:,.0f}"
    return shortened(value if isinstance(value, str) else json.dumps(value), _MAX_CELL)
