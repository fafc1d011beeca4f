"""The messages of the Build Event Protocol are those of Bazel on the wire.

`bazel_events.jsonl` has events of each kind that Bazel 7.7.1 has written about a build with two tests, both with
`--build_event_binary_file` and with `--build_event_json_file`. Names of folders were replaced by others of the same
length.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from databuild.exporters.bes.build_event_stream_pb2 import BuildEvent

EVENTS = Path(__file__).with_name("bazel_events.jsonl")


def compared(ours: Any, published: Any, path: str) -> list[str]:
    """Compares the fields that our messages have, and returns their names."""
    if isinstance(ours, dict):
        assert set(ours) <= set(published), path
        inner = [name for key, value in ours.items() for name in compared(value, published[key], f"{path}.{key}")]
        return [path, *inner]
    if isinstance(ours, list):
        assert len(ours) == len(published), path
        return [name for one, other in zip(ours, published, strict=True) for name in compared(one, other, path)]
    assert ours == published, path
    return [path]


def test_fields_have_the_numbers_names_and_types_of_bazel() -> None:
    names = set()
    for line in EVENTS.read_text().splitlines():
        recorded = json.loads(line)
        event = BuildEvent.FromString(base64.b64decode(recorded["binary"]))
        assert event.id.WhichOneof("id")
        names.update(compared(MessageToDict(event), recorded["json"], event.WhichOneof("payload") or ""))

    assert len(names) > 150
