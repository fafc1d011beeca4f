"""Pictures of lineage: upstream at the left, downstream at the right."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from databuild.drawing.lineage import MAX_PARTITIONS, Step, draw_lineage
from tests.support.drawn import SVG, of_class, parse, texts, titles
from tests.support.present import present

STEPS = [Step("raw/1", "clean/1"), Step("airports", "clean/1", query=True), Step("clean/1", "report/1")]


def left(root: Element, title: str) -> float:
    node = next(node for node in of_class(root, "node") if node.findtext(f"{SVG}title") == title)
    return float(present(present(node.find(f"{SVG}rect")).get("x")))


def test_inputs_are_left_and_users_right() -> None:
    root = parse(draw_lineage("clean/1", STEPS))

    assert left(root, "raw/1") == left(root, "airports") < left(root, "clean/1") < left(root, "report/1")
    assert titles(of_class(root, "subject")) == ["clean/1"]


def test_edges_of_queries_are_dotted_and_labelled() -> None:
    root = parse(draw_lineage("clean/1", STEPS))

    assert len(of_class(root, "faint")) == 1
    assert texts(root)[:2] == ["Lineage of clean/1", "4 partitions; dotted: only read"]


def test_links_are_those_of_the_caller() -> None:
    root = parse(draw_lineage("clean/1", STEPS, link=lambda ref: f"/partition?ref={ref}"))

    assert {link.get("href") for link in root.iter(f"{SVG}a")} == {
        f"/partition?ref={ref}" for ref in ("clean/1", "raw/1", "airports", "report/1")
    }


def test_a_partition_without_lineage_stands_alone() -> None:
    root = parse(draw_lineage("raw/1", []))

    assert texts(root) == ["Lineage of raw/1", "1 partition", "raw", "1"]


def test_partitions_that_were_made_from_each_other_in_turn_are_drawn() -> None:
    root = parse(draw_lineage("a", [Step("b", "a"), Step("a", "b")]))

    assert len(of_class(root, "node")) == 2


def test_only_the_nearest_are_drawn_of_many() -> None:
    root = parse(draw_lineage("sum", [Step(f"day/{number}", "sum") for number in range(500)]))

    assert len(of_class(root, "node")) == MAX_PARTITIONS
    assert texts(root)[1] == f"{MAX_PARTITIONS} partitions, the nearest of more"


def test_it_says_where_more_is_known() -> None:
    assert "4 partitions, the nearest of more; dotted: only read" in texts(
        parse(draw_lineage("clean/1", STEPS, complete=False))
    )


def test_hostile_refs_stay_text() -> None:
    root = parse(draw_lineage("<b>\x00/&", []))

    assert root[0].text == "Lineage of <b>\ufffd/&"
