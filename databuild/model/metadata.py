"""Metadata that jobs report about their outputs, as JSON."""

from __future__ import annotations

import json
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


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT:
        return int(value)
    return value
