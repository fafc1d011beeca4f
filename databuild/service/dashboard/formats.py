"""How values read on a page."""

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

_LONG: Final = 72
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
    """Returns the status of a build in lower case, such as `completed`."""
    return statuses.BUILD.name(value).lower() if value else ""


def job_status(value: int) -> str:
    """Returns the status of a job run in lower case."""
    return statuses.JOB.name(value).lower() if value else ""


def partition_status(value: int) -> str:
    """Returns the status of a partition in lower case."""
    return statuses.PARTITION.name(value).lower() if value else ""


def reason(value: int) -> str:
    """Returns why a partition is built or not, in lower case."""
    return _word(pt.Reason.Name(value)).replace("_", " ")


def category(value: int) -> str:
    """Returns the kind of a failure in lower case."""
    return _word(pt.FailureCategory.Name(value)).replace("_", " ")


def glyph(status: str) -> str:
    """Returns a sign for a status, so that colour is never all that tells it."""
    return _GLYPHS.get(status, "·")


def clock_time(stamp: Timestamp) -> str:
    """Returns a time of the clock, in UTC; empty where it is not set."""
    when = moment(stamp)
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else ""


def iso_time(stamp: Timestamp) -> str:
    """Returns a time as programs read it."""
    when = moment(stamp)
    return when.isoformat(timespec="milliseconds") if when else ""


def moment(stamp: Timestamp) -> dt.datetime | None:
    """Returns a time; None where it is not set."""
    if not stamp.seconds and not stamp.nanos:
        return None
    when: dt.datetime = stamp.ToDatetime(tzinfo=dt.UTC)
    return when


def seconds_between(begin: Timestamp, end: Timestamp) -> float:
    """Returns how many seconds lie between two times, never less than 0."""
    return max(0.0, end.seconds - begin.seconds + (end.nanos - begin.nanos) / 1e9)


def duration(seconds: float) -> str:
    """Returns a time span in its two largest units, such as `3 min 20 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for (size, unit), (smaller, smaller_unit) in itertools.pairwise(_AGES):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // smaller)} {smaller_unit}"
    raise AssertionError(seconds)


def age(seconds: float) -> str:
    """Returns how long ago something was, in its largest unit."""
    for size, unit in _AGES:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"


def size(count: float) -> str:
    """Returns a number of bytes."""
    for unit in _SIZES:
        if count < 1024 or unit == _SIZES[-1]:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError(count)


def number(value: float) -> str:
    """Returns a number with its thousands apart."""
    return f"{value:,.0f}"


def planning_progress(progress: sv.PlanningProgress) -> str:
    """Returns how far planning is, in a few words."""
    return PlanningProgress(
        progress.levels, progress.partitions, progress.config_calls, tuple(progress.configuring_jobs)
    ).text()


def shortened(text: str, length: int = _LONG) -> str:
    """Returns a text without its middle where it is long."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def struct_value(value: Value) -> str:
    """Returns a value that a job reported, as JSON; a text and a whole number as they are."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value" and value.number_value.is_integer():
        return f"{value.number_value:,.0f}"
    return json.dumps(json_format.MessageToDict(value))


def visible(text: str) -> str:
    """Returns a text in which every character that would not be seen is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def in_address(text: Any) -> str:
    """Returns a text as part of an address, whatever its characters."""
    return quote(str(text), safe="")


def _word(name: str) -> str:
    """Returns the name of an enum's value without the enum's, in lower case; nothing where it is unspecified."""
    for prefix in ("REASON_", "FAILURE_CATEGORY_"):
        if name.startswith(prefix):
            word = name.removeprefix(prefix).lower()
            return "" if word == "unspecified" else word
    raise AssertionError(name)
