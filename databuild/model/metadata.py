"""Metadata that jobs report about their outputs, as JSON.

A value with a type of its own is an object with the member `$type`: `markdown`, `table`, `link`, `image` or `schema`.
`databuild/job/values.py` makes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

_MAX_EXACT: Final = 2**53
"""The largest whole number up to which a double holds all whole numbers exactly."""


def metadata_json(metadata: Struct) -> str:
    """Returns metadata as JSON with sorted names, and with whole numbers as integers (842, not 842.0).

    A Struct holds all numbers as doubles, and its fields have no order.
    """
    from google.protobuf import json_format

    return json.dumps(_with_whole_numbers(json_format.MessageToDict(metadata)), sort_keys=True)


TYPE_MEMBER: Final = "$type"
"""The member of a metadata value that names its type."""


def schema_of(metadata: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Returns the columns of the first schema in metadata, each with its type, in their order; None if there is none.

    A schema that is not as `databuild.job.schema` makes it counts as none.
    """
    for _, value in sorted(metadata.items()):
        if isinstance(value, dict) and value.get(TYPE_MEMBER) == "schema":
            columns = value.get("columns")
            if isinstance(columns, list) and all(_is_column(column) for column in columns):
                return dict(columns)
    return None


def image_uri(value: Any) -> str | None:
    """Returns the URI of a picture; None if a metadata value is none."""
    if isinstance(value, Mapping) and value.get(TYPE_MEMBER) == "image" and isinstance(value.get("uri"), str):
        return str(value["uri"])
    return None


def schema_json(metadata: str) -> str:
    """Returns the schema in metadata (both JSON), as a list of pairs of column and type; empty if there is none."""
    if '"schema"' not in metadata:  # decoding takes longer
        return ""
    schema = schema_of(json.loads(metadata))
    return "" if schema is None else json.dumps(list(schema.items()), separators=(",", ":"))


def _is_column(column: Any) -> bool:
    return isinstance(column, list) and len(column) == 2 and all(isinstance(text, str) for text in column)


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT:
        return int(value)
    return value
