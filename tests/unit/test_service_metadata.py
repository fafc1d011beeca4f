"""Typed values of metadata, from the helper of jobs to the page of a partition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from databuild.job import Run, image, link, markdown, schema, table
from databuild.model.metadata import image_uri, schema_json, schema_of
from databuild.service.dashboard.markdown import MAX_LENGTH, rendered
from databuild.service.dashboard.metadata_values import MetadataValue, metadata_values


def _shown(**metadata: Any) -> dict[str, MetadataValue]:
    message = json_format.ParseDict(metadata, Struct())
    return {value.name: value for value in metadata_values(message)}


def test_a_job_reports_typed_and_plain_values(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    run = Run([], {"DATABUILD_REPORT": str(report)})
    run.finished("p", rows=842, notes=markdown("*late*"), sample=table(["day"], [["2026-01-01"]]))
    run.metric("read", 3, ref="p")
    finished, metric = map(json.loads, report.read_text().splitlines())

    assert finished["partition"]["metadata"] == {
        "rows": 842,
        "notes": {"$type": "markdown", "text": "*late*"},
        "sample": {"$type": "table", "columns": ["day"], "rows": [["2026-01-01"]]},
    }
    assert metric["metric"] == {"name": "read", "value": 3, "unit": "", "ref": "p"}


def test_values_that_cannot_be_shown_are_refused() -> None:
    with pytest.raises(ValueError, match="has 1 values, and the table has 2 columns"):
        table(["a", "b"], [[1]])
    with pytest.raises(ValueError, match="must begin with http"):
        link("javascript:alert(1)")


def test_a_picture_has_the_uri_of_its_file(tmp_path: Path) -> None:
    assert image(tmp_path / "a b.png")["uri"] == f"file://{tmp_path}/a%20b.png"
    assert image_uri(image("s3://bucket/a.png")) == "s3://bucket/a.png"
    assert [image_uri(value) for value in (None, "s3://bucket/a.png", {"$type": "image"}, {"uri": "x"})] == [None] * 4


def test_the_page_shows_each_value_by_its_type() -> None:
    shown = _shown(
        rows=842,
        notes=markdown("# Late\n\n<b>x</b>"),
        page=link("https://example.org/a?b=1&c=2", "the page"),
        plot=image("s3://bucket/a.png", "Rows by day"),
        columns=schema({"day": "DATE"}),
        sample=table(["n", "x"], [[number, None] for number in range(60)]),
    )

    assert (shown["rows"].kind, shown["rows"].text) == ("text", "842")
    assert shown["notes"].html == "<h3>Late</h3>\n<p>&lt;b&gt;x&lt;/b&gt;</p>"
    assert shown["page"].html == (
        '<a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer nofollow">the page</a>'
    )
    assert (shown["plot"].kind, shown["plot"].text) == ("image", "Rows by day")
    assert shown["columns"].rows == (("day", "DATE"),)
    assert (shown["sample"].rows[1], len(shown["sample"].rows), shown["sample"].more_rows) == (("1", "null"), 50, 10)


@pytest.mark.parametrize(
    "value",
    [
        {"$type": "link", "url": "javascript:alert(1)"},
        {"$type": "link", "url": 'https://x/"onclick="alert(1)'},
        {"$type": "link", "url": 7},
        {"$type": "markdown", "text": 7},
        {"$type": "table", "columns": ["a"], "rows": [[1, 2]]},
        {"$type": "table", "columns": "a", "rows": []},
        {"$type": "schema", "columns": [["a"]]},
        {"$type": "schema", "columns": {"a": "b"}},
        {"$type": "image"},
        {"$type": "unknown"},
        {"$type": ["markdown"]},
    ],
)
def test_a_malformed_value_is_shown_as_json(value: dict[str, Any]) -> None:
    shown = _shown(odd=value)["odd"]

    assert shown.kind == "text"
    assert "$type" in shown.text


def test_the_schema_of_metadata_is_found() -> None:
    metadata = {"a": 1, "columns": schema({"day": "DATE", "n": "BIGINT"})}

    assert schema_of(metadata) == {"day": "DATE", "n": "BIGINT"}
    assert schema_json(json.dumps(metadata)) == '[["day","DATE"],["n","BIGINT"]]'
    assert schema_json("") == schema_json('{"schema": "none"}') == ""


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>"),
        ("- a\n- **b**\n1. c", "<ul><li>a</li><li><strong>b</strong></li></ul>\n<ol><li>c</li></ol>"),
        ("```\n<x> *y*\n```", "<pre><code>&lt;x&gt; *y*</code></pre>"),
        ("`a*b*` *c*", "<p><code>a*b*</code> <em>c</em></p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ('[x](https://e.org/"a)', "<p>[x](https://e.org/&#34;a)</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("![x](https://e.org/a.png)", '<p>!<a href="https://e.org/a.png" rel="noopener noreferrer nofollow">x</a></p>'),
        ("###### deep", "<h3>deep</h3>"),
        ("", ""),
    ],
)
def test_markdown_is_a_safe_subset(text: str, html: str) -> None:
    assert rendered(text) == html


def test_long_markdown_is_cut() -> None:
    assert len(rendered("[" * 10 * MAX_LENGTH)) < MAX_LENGTH + 100
