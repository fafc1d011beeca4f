"""Pictures of whole graphs: layout, self-edges, and graphs that are too large."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from databuild.drawing.boxes import Box, draw_boxes
from databuild.drawing.layout import MAX_NODES
from databuild.drawing.whole_graph import DrawnInput, DrawnJob, draw_graph
from tests.support.drawn import of_class, parse, texts, titles
from tests.support.present import present


def job(name: str, **more: Any) -> DrawnJob:
    return DrawnJob(f"//x:{name}", (f"{name}/{{n}}",), **more)


def edge(source: str, target: str, label: str = "", **more: bool) -> DrawnInput:
    return DrawnInput(f"//x:{source}", f"//x:{target}", label, **more)


def box_of(root: Element, beginning: str) -> tuple[float, ...]:
    """Returns the rectangle of the node whose title begins so: left, top, width, height."""
    (node,) = [node for node in of_class(root, "node") if titles([node])[0].startswith(beginning)]
    (rectangle,) = of_class(node, "box")
    return tuple(float(present(rectangle.get(name))) for name in ("x", "y", "width", "height"))


def test_an_edge_has_one_arrow_and_its_text_between_the_boxes() -> None:
    root = parse(draw_graph([job("a"), job("b")], [edge("a", "b", "{n-1}")]))

    left, right = box_of(root, "//x:a"), box_of(root, "//x:b")
    (mapping,) = [label for label in of_class(root, "small") if label.text == "{n-1}"]
    (arrow,) = of_class(root, "arrow")
    assert left[0] + left[2] < float(present(mapping.get("x"))) < right[0]
    assert present(arrow.get("d")).count("M") == 1
    assert len(of_class(root, "edge")) == 2


def test_edges_between_the_same_jobs_are_one_with_all_texts() -> None:
    inputs = [edge("a", "b", "{n}"), edge("a", "b", "{n-1} optional", faint=True), edge("a", "b", "{n}")]

    root = parse(draw_graph([job("a"), job("b")], inputs))

    assert titles(of_class(root, "mapping")) == ["//x:a to //x:b: {n}, {n-1} optional"]
    assert not of_class(root, "faint")


def test_an_edge_is_dotted_if_no_input_on_it_is_needed() -> None:
    root = parse(draw_graph([job("a"), job("b")], [edge("a", "b", "{n}", faint=True)]))

    assert len(of_class(root, "faint")) == 2
    assert "dotted: optional, only read, or recorded by builds" in texts(root)


def test_a_job_that_needs_itself_has_a_loop_and_says_how() -> None:
    root = parse(draw_graph([job("a")], [edge("a", "a", "{n-1} optional", faint=True)]))

    left, top, width, _ = box_of(root, "//x:a")
    (loop,) = of_class(root, "edge")
    x, y = present(loop.get("d"))[1:].partition("c")[0].split()
    assert left < float(x) < left + width
    assert float(y) == top
    assert "from itself: {n-1} optional" in texts(root)
    assert titles(of_class(root, "node")) == ["//x:a: a/{n}; from itself: {n-1} optional"]


def test_a_cycle_of_jobs_is_drawn_with_an_edge_back() -> None:
    inputs = [
        DrawnInput("raw/{n}", "//x:a", "{n}", external=True),
        edge("a", "b", "{n}"),
        edge("b", "a", "{n-1}"),
    ]

    root = parse(draw_graph([job("b"), job("a")], inputs))

    assert box_of(root, "raw")[0] < box_of(root, "//x:a")[0] < box_of(root, "//x:b")[0]
    assert of_class(root, "back")


def test_a_job_and_an_external_input_of_the_same_name_are_two_nodes() -> None:
    inputs = [DrawnInput("//x:a", "//x:a", "{n}", external=True)]

    root = parse(draw_graph([job("a")], inputs))

    assert len(of_class(root, "node")) == 2
    assert len(of_class(root, "external")) == 1


def test_incomplete_counts_are_lower_bounds() -> None:
    root = parse(draw_graph([job("a", counts={"available": 7}, complete=False), job("b", counts={})], []))

    assert "at least 7 available" in texts(root)
    assert "no partitions" in texts(root)


def test_boxes_keep_their_places_while_counts_change() -> None:
    def places(**counts: int) -> list[tuple[float, ...]]:
        root = parse(draw_graph([job("a", counts=counts), job("b", counts={})], [edge("a", "b", "{n}")]))
        return [box_of(root, f"//x:{name}") for name in "ab"]

    assert places() == places(building=3) == places(available=100, failed=7, building=2)


def test_many_counts_take_several_lines() -> None:
    root = parse(draw_graph([job("a", counts={"available": 1_000_000, "failed": 7, "tainted": 2, "pending": 9})], []))

    assert texts(root)[-2:] == ["7 failed, 2 tainted, 9 pending,", "1,000,000 available"]


def test_of_too_many_jobs_those_with_failures_and_the_most_partitions_are_drawn() -> None:
    jobs = [job(f"j{number}", counts={"available": number}) for number in range(MAX_NODES + 2)]
    jobs[0] = job("j0", counts={"failed": 1})

    root = parse(draw_graph(jobs, [edge("j0", f"j{number}", "{n}") for number in range(1, MAX_NODES + 2)]))

    drawn = {title.partition(": ")[0] for title in titles(of_class(root, "node"))}
    assert len(drawn) == MAX_NODES
    assert "//x:j0" in drawn
    assert {"//x:j1", "//x:j2"}.isdisjoint(drawn)
    assert "302 jobs, 2 more jobs are not shown" in texts(root)
    assert not of_class(root, "mapping")  # too small for texts


def test_a_text_on_an_edge_has_no_border() -> None:
    picture = draw_boxes([Box("{n}", (), "planned", "from a to b", bare=True)], [], top=0)

    (part,) = picture.parts
    assert "<rect" not in part
    assert "<title>from a to b</title>" in part
