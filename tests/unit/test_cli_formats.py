"""Values in words, as commands print them."""

from __future__ import annotations

from typing import Any

import pytest

from databuild.cli.display.formats import (
    bytes_text,
    duration_text,
    metadata_text,
    place_text,
    rebuild_text,
    table,
    time_text,
    version_text,
)
from databuild.model.records import JobRunRecord


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"executor": ""}, ""),
        ({"status": "RUNNING", "started_time": 90.0}, "waits at dask://e:1 for 10.0 s"),
        ({"placed_time": 95.0, "queued_seconds": 5.0, "machine": "m1"}, "on m1 of dask://e:1, waited 5.00 s"),
        ({"placed_time": 95.0, "queued_seconds": 5.0}, "on dask://e:1, waited 5.00 s"),
        ({"status": "FAILED"}, "on dask://e:1"),
        ({"executor": "", "worker_id": "5f0c1a-2", "worker_request": 3}, "request 3 of worker 5f0c1a-2"),
    ],
)
def test_a_job_run_tells_where_it_is(facts: dict[str, Any], text: str) -> None:
    run = JobRunRecord("b.1.1", "b", 1, 1, "//:j", 1, "COMPLETED", executor="dask://e:1")

    assert place_text(run._replace(**facts), now=100.0) == text


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("sha256:5f0c", "sha256:5f0c"),
        ("", ""),
        ("unrecorded:12:mtime:17", "(changed after it was recorded: 12 B, version mtime:17)"),
        ("unrecorded:4096:", "(changed after it was recorded: 4.0 KiB)"),
        ("unrecorded:None:e1", "(changed after it was recorded: version e1)"),
    ],
)
def test_the_version_of_changed_data_is_in_words(version: str, text: str) -> None:
    assert version_text(version) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.416, "0.42 s"), (12.34, "12.3 s"), (125, "2 min 05 s"), (11220, "3 h 07 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_times_are_utc() -> None:
    assert time_text(0.0) == "-"
    assert time_text(1.0) == "1970-01-01 00:00:01"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 40, "5120.0 GiB"),
    ],
)
def test_bytes_are_told_in_the_unit_that_fits(number: int, text: str) -> None:
    assert bytes_text(number) == text


def test_tables_align_wide_and_combining_characters() -> None:
    rows = [("REF", "N"), ("a/日本", "1"), ("a/e\u0301", "2"), ("a/abcd", "3")]

    assert table(rows).splitlines() == ["REF     N", "a/日本  1", "a/e\u0301     2", "a/abcd  3"]


def test_the_next_build_is_told_in_the_right_number() -> None:
    assert rebuild_text(1) == "the next build that needs it rebuilds it"
    assert rebuild_text(2) == "the next build that needs them rebuilds them"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("/data/Käse", "/data/Käse"),
        ("two\nlines", r'"two\nlines"'),
        (842, "842"),
        (True, "true"),
        (["a", None], '["a", null]'),
        ({"$type": "link", "url": "https://e.org"}, '{"$type": "link", "url": "https://e.org"}'),
        ({"$type": "table", "columns": ["region", "usd"], "rows": [["eu", 7]]}, "table of 1 row: region, usd"),
        ({"$type": "table", "columns": "region"}, '{"$type": "table", "columns": "region"}'),
        (
            {"$type": "table", "columns": ["\x9b2J"], "rows": []},
            r'{"$type": "table", "columns": ["\u009b2J"], "rows": []}',
        ),
    ],
)
def test_metadata_is_one_printable_line(value: object, text: str) -> None:
    assert metadata_text(value) == text
