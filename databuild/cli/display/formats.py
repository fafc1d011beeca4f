"""Times, durations, sizes, counts and tables as text for a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databuild.model.records import BuildRecord, JobRunRecord


def time_text(seconds: float) -> str:
    """Formats a time in seconds since the epoch as `2026-11-23 09:51:42` (UTC), and 0 as `-`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else "-"


def duration_text(seconds: float) -> str:
    """Formats a duration as `0.42 s`, `12.3 s`, `2 min 05 s` or `3 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02} min"


def bytes_text(number: int) -> str:
    """Formats a number of bytes as `812 B`, `4.2 KiB`, `13.0 MiB` or `1.5 GiB`."""
    if number < 1024:
        return f"{number} B"
    power = 1 + (number >= 1024**2) + (number >= 1024**3)
    return f"{number / 1024**power:.1f} {'KMG'[power - 1]}iB"


def build_duration_text(build: BuildRecord, *, alive: bool, now: float) -> str:
    """Formats the time from the start of a build to its last event or, if the build is alive, to now."""
    # The clock of another machine may be ahead of ours.
    return duration_text(max((now if alive else build.updated_time) - build.received_time, 0.0))


def version_text(version: str) -> str:
    """Returns the version of an input for a person: `UNRECORDED` versions in words, and all others as they are."""
    from databuild.model.records import UNRECORDED

    if not version.startswith(UNRECORDED):
        return version
    size, _, found = version.removeprefix(UNRECORDED).partition(":")
    facts = (bytes_text(int(size)) if size.isdecimal() else "", f"version {found}" if found else "")
    return f"(changed after it was recorded: {', '.join(filter(None, facts))})"


def metadata_text(value: Any) -> str:
    """Formats a value of metadata as one line: a text as it is, a table by its size, and all others as JSON."""
    import json

    from databuild.model.metadata import TYPE_MEMBER

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict) and value.get(TYPE_MEMBER) == "table":
        columns, rows = value.get("columns"), value.get("rows")
        if isinstance(columns, list) and isinstance(rows, list):
            text = f"table of {counted(len(rows), 'row')}: {', '.join(map(str, columns))}"
    return text if text.isprintable() else json.dumps(value)


def place_text(job_run: JobRunRecord, now: float) -> str:
    """Tells where a job run is or was: `waits at ENGINE for 12.3 s`, or `on MACHINE of ENGINE, waited 0.50 s`.

    Returns:
        The text; `request 3 of worker 5f0c1a-2` for one that a worker has served; empty for a process on the machine
        of its orchestrator.
    """
    if job_run.worker_id:
        return f"request {job_run.worker_request} of worker {job_run.worker_id}"
    if not job_run.executor:
        return ""
    if job_run.placed_time:
        machine = f"on {job_run.machine} of {job_run.executor}" if job_run.machine else f"on {job_run.executor}"
        return f"{machine}, waited {duration_text(job_run.queued_seconds)}"
    if job_run.status == "RUNNING":
        return f"waits at {job_run.executor} for {duration_text(max(now - job_run.started_time, 0.0))}"
    return f"on {job_run.executor}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun, such as `1 job` or `3 jobs`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """Joins the first names by commas and counts the rest, such as `a, b, c and 4 more`."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Aligns the columns of rows, of which the first is the heading. Returns one line for each row."""
    columns = [[_columns(cell) for cell in column] for column in zip(*rows, strict=True)]
    widths = [max(column) for column in columns]
    lines = [
        "  ".join(cell + " " * (width - own) for cell, width, own in zip(row, widths, own_widths, strict=True))
        for row, own_widths in zip(rows, zip(*columns, strict=True), strict=True)
    ]
    return "".join(line.rstrip() + "\n" for line in lines)


def _columns(text: str) -> int:
    """Returns the number of columns of a terminal that a text takes: two for each wide character of Unicode."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def rebuild_text(number: int) -> str:
    """Tells that the next build rebuilds so many partitions."""
    pronoun = "it" if number == 1 else "them"
    return f"the next build that needs {pronoun} rebuilds {pronoun}"


def launcher_command(graph_label: str) -> str:
    """Returns the beginning of a command line for a graph, such as `bazel run //:graph --`."""
    return f"bazel run {graph_label} --"
