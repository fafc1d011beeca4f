"""Template filters: values as text."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Any, Final
from urllib.parse import quote

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from databuild.model import statuses
from databuild.model.planning import PlanningProgress
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

_MAX_LENGTH: Final = 72
_SIZES: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_AGES: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))
_GLYPHS: Final = {
    "available": "✓",
    "completed": "✓",
    "failed": "✕",
    "cancelled": "⊘",
    "running": "▶",
    "executing": "▶",
    "building": "▶",
    "tainted": "!",
    "delegated": "→",
}


def build_status(value: int) -> str:
    """Returns the name of a build status in lower case, such as `completed`."""
    return statuses.BUILD.name(value).lower() if value else ""


def job_status(value: int) -> str:
    return statuses.JOB.name(value).lower() if value else ""


def partition_status(value: int) -> str:
    return statuses.PARTITION.name(value).lower() if value else ""


def reason(value: int) -> str:
    """Returns the name of a reason in words, such as `input changed`."""
    return _word(pt.Reason.Name(value)).replace("_", " ")


def category(value: int) -> str:
    """Returns the name of a failure category in words, such as `missing data`."""
    return _word(pt.FailureCategory.Name(value)).replace("_", " ")


def glyph(status: str) -> str:
    """Returns a character for a status, so that colour is never the only signal."""
    return _GLYPHS.get(status, "·")


def clock_time(stamp: Timestamp) -> str:
    """Returns a time as `2013-01-01 12:00:00` in UTC; empty if unset."""
    when = moment(stamp)
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else ""


def iso_time(stamp: Timestamp) -> str:
    """Returns a time in ISO 8601 with milliseconds; empty if unset."""
    when = moment(stamp)
    return when.isoformat(timespec="milliseconds") if when else ""


def moment(stamp: Timestamp) -> dt.datetime | None:
    """Returns a time in UTC; None if unset."""
    if not stamp.seconds and not stamp.nanos:
        return None
    when: dt.datetime = stamp.ToDatetime(tzinfo=dt.UTC)
    return when


def seconds_between(begin: Timestamp, end: Timestamp) -> float:
    """Returns the seconds between two times; 0 if `end` is before `begin`."""
    return max(0.0, end.seconds - begin.seconds + (end.nanos - begin.nanos) / 1e9)


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units, such as `3 min 20 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for (size, unit), (smaller, smaller_unit) in itertools.pairwise(_AGES):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // smaller)} {smaller_unit}"
    raise AssertionError(seconds)


def age(seconds: float) -> str:
    """Returns an age in its largest unit, such as `3 min ago`."""
    for size, unit in _AGES:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"


def size(count: float) -> str:
    """Returns a number of bytes in its largest unit, such as `1.5 MiB`."""
    for unit in _SIZES:
        if count < 1024 or unit == _SIZES[-1]:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError(count)


def number(value: float) -> str:
    """Returns a number with thousands separators."""
    return f"{value:,.0f}"


def planning_progress(progress: sv.PlanningProgress) -> str:
    """Returns the progress of planning in a few words."""
    return PlanningProgress(
        progress.levels, progress.partitions, progress.config_calls, tuple(progress.configuring_jobs)
    ).text()


def shortened(text: str, length: int = _MAX_LENGTH) -> str:
    """Returns a text of at most `length` characters, with its middle replaced by an ellipsis."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def struct_value(value: Value) -> str:
    """Returns a metadata value as JSON, but strings without quotes and integers with thousands separators."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value" and value.number_value.is_integer():
        return f"{value.number_value:,.0f}"
    return json.dumps(json_format.MessageToDict(value))


def printable(text: str) -> str:
    """Returns a text with escape sequences for characters that are not printable."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """Returns a text of several lines with escape sequences for characters that are not printable."""
    return "\n".join(printable(line.expandtabs(8)) for line in text.split("\n"))


def url_quoted(text: Any) -> str:
    """Returns a text percent-encoded for any part of a URL."""
    return quote(str(text), safe="")


def _word(name: str) -> str:
    """Returns the name of an enum value in lower case without the prefix of the enum; empty for UNSPECIFIED."""
    for prefix in ("REASON_", "FAILURE_CATEGORY_"):
        if name.startswith(prefix):
            word = name.removeprefix(prefix).lower()
            return "" if word == "unspecified" else word
    raise AssertionError(name)
