"""What jobs report of their data, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

_MAX_EXACT: Final = 2**53
"""Up to here, every whole number is a number of protobuf, too."""


def metadata_json(metadata: Struct) -> str:
    """Returns metadata as JSON, with 842 for 842.0: in protobuf, all numbers have a fraction, and names no order."""
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
