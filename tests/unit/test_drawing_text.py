"""Text in drawings: it is escaped, and cut to the available width."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.drawing.states import STATES, counts_text, most_severe, state_of
from databuild.drawing.style import STYLE
from databuild.drawing.svg import document, group, label
from databuild.drawing.text import escape, job_name, shorten

HOSTILE = "</text><script>alert('1')</script>&\"\x00\x08\x1b\x7f\x9f\u202e\ud800\ufffe]]>"


@given(st.text())
@settings(deadline=None)
def test_any_text_is_safe_in_elements_and_attributes(text: str) -> None:
    element = ET.fromstring(f'<g a="{escape(text)}">{escape(text)}</g>')

    assert not list(element)
    escape(text).encode()


def test_characters_that_xml_forbids_or_that_reverse_text_are_replaced() -> None:
    element = ET.fromstring(f"<g>{escape(HOSTILE)}</g>")

    assert element.text == "</text><script>alert('1')</script>&\"" + "\ufffd" * 8 + "]]>"


def test_a_label_is_text_only() -> None:
    element = ET.fromstring(label("name", 1, 2, HOSTILE))

    assert not list(element)


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcde…hijk"),
        ("abcdefghijk", 3, "a…k"),
        ("日本語日本語", 12, "日本語日本語"),
        ("日本語日本語", 9, "日本…本語"),
    ],
)
def test_long_text_is_shortened_in_the_middle(text: str, columns: int, shown: str) -> None:
    assert shorten(text, columns) == shown


@given(st.text(max_size=50), st.integers(1, 60))
@settings(deadline=None)
def test_shortened_text_keeps_to_its_columns(text: str, columns: int) -> None:
    shown = shorten(text, columns)

    assert len(shown) <= max(columns, 1)
    assert shown == text or "…" in shown


@pytest.mark.parametrize(
    ("job_label", "name"), [("//a/b:c", "c"), ("@x//:y", "y"), ("//a/b", "//a/b"), ("//a:", "//a:")]
)
def test_the_short_name_of_a_job_is_the_end_of_its_label(job_label: str, name: str) -> None:
    assert job_name(job_label) == name


@pytest.mark.parametrize("link", ["/x?a=b&c=d", "x", "?page=2", "#a:b", "/a:b", "https://example.com/x", "HTTP://x"])
def test_a_link_leads_there(link: str) -> None:
    element = ET.fromstring(group("node", "title", (), link))

    assert (element.tag, element.get("href")) == ("a", link)


@pytest.mark.parametrize("link", ["", "javascript:alert(1)", " javascript:x", "java\nscript:x", "data:text/html,x"])
def test_a_link_that_would_run_something_leads_nowhere(link: str) -> None:
    element = ET.fromstring(group("node", "title", (), link))

    assert (element.tag, element.get("href")) == ("g", None)


def test_drawings_with_links_are_groups_and_others_are_images() -> None:
    with_link = document("k", "t", "d", [group("node", "n", (), "/x")], 1, 1, style=False)
    without = document("k", "t", "d", [group("node", "n", ())], 1, 1, style=False)

    assert 'role="group"' in with_link
    assert 'role="img"' in without


def test_a_style_sheet_is_embedded_only_where_it_is_asked_for() -> None:
    alone = document("k", "t", "d", (), 1, 1, style=True)
    in_page = document("k", "t", "d", (), 1, 1, style=False)

    assert ET.fromstring(alone).findtext("{http://www.w3.org/2000/svg}style") == STYLE
    assert "<style" not in in_page


def test_every_state_has_colours_in_light_and_dark_and_all_but_one_a_sign() -> None:
    for state in STATES:
        assert STYLE.count(f".state-{state}{{") == 2
    assert [state for state, shown in STATES.items() if not shown.glyph] == ["planned"]


def test_every_status_of_a_job_run_is_a_state() -> None:
    for status in ("", "SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"):
        assert state_of(status) in STATES


def test_the_worst_stands_for_all() -> None:
    assert most_severe({"available": 5, "failed": 1, "stale": 2}) == "failed"
    assert most_severe({"available": 5, "failed": 0}) == "available"
    assert most_severe({}) == "missing"


def test_counts_are_told_worst_first() -> None:
    assert counts_text({"completed": 1200, "failed": 3, "pending": 0}) == "3 failed, 1,200 done"


def test_counts_that_find_no_room_are_left_out_as_a_whole() -> None:
    counts = {"failed": 3, "running": 4, "pending": 5}

    assert counts_text(counts, 21) == "3 failed, …"
    assert counts_text(counts, 22) == "3 failed, 4 running, …"
    assert counts_text(counts, 31) == "3 failed, 4 running, 5 pending"
