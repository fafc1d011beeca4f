"""Layouts of graphs: nothing overlaps, and edges lead from left to right."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.drawing.layers import assign_layers, without_cycles
from databuild.drawing.layout import MAX_NODES, Frame, lay_out
from databuild.drawing.ordering import crossings, order_layers

SIZE = (200.0, 44.0)


Graph: TypeAlias = tuple[list[tuple[float, float]], list[tuple[int, int]]]
"""The sizes of nodes, and edges between their indices."""


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool) -> Graph:
    sizes = draw(st.lists(st.tuples(st.floats(10, 300), st.floats(10, 90)), min_size=1, max_size=12))
    nodes = st.integers(0, len(sizes) - 1)
    edges = draw(st.lists(st.tuples(nodes, nodes), max_size=30))
    if acyclic:
        edges = [(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]]
    return sizes, edges


def apart(one: Frame, other: Frame) -> bool:
    return (
        one.right <= other.x or other.right <= one.x or one.y + one.height <= other.y or other.y + other.height <= one.y
    )


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_no_two_nodes_overlap(graph: Graph) -> None:
    layout = lay_out(*graph)

    assert all(apart(one, other) for one, other in combinations(layout.frames, 2))


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_nothing_is_outside_the_canvas(graph: Graph) -> None:
    layout = lay_out(*graph)

    for frame in layout.frames:
        assert frame.x >= 0
        assert frame.y >= 0
        assert frame.right <= layout.width
        assert frame.y + frame.height <= layout.height
    for segment in layout.segments:
        for x, y in (segment.start, segment.end):
            assert 0 <= x <= layout.width
            assert 0 <= y <= layout.height


@given(graphs(acyclic=True))
@settings(deadline=None)
def test_every_edge_leads_from_left_to_right(graph: Graph) -> None:
    sizes, edges = graph
    layout = lay_out(sizes, edges)

    for upstream, downstream in edges:
        assert layout.frames[upstream].right < layout.frames[downstream].x
    assert all(
        segment.start[0] <= segment.end[0] and segment.direction == (True, False, False) for segment in layout.segments
    )


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_every_edge_is_drawn_from_node_to_node(graph: Graph) -> None:
    sizes, edges = graph
    layout = lay_out(sizes, edges)

    drawn = set()
    for source, ways in {(segment.source, segment.direction) for segment in layout.segments}:
        reached = {(layout.frames[source].right, layout.frames[source].middle)}
        for segment in sorted(layout.segments, key=lambda segment: (segment.start[0], segment.end[0])):
            if (segment.source, segment.direction) == (source, ways) and segment.start in reached:
                reached.add(segment.end)
                drawn |= {(source, segment.target)} if ways[0] and segment.target >= 0 else set()
                drawn |= {(segment.target, source)} if ways[1] and segment.target >= 0 else set()
    assert drawn == {edge for edge in edges if edge[0] != edge[1]}


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_no_edge_runs_through_a_node(graph: Graph) -> None:
    layout = lay_out(*graph)

    for segment in layout.segments:
        level = segment.start[1] == segment.end[1]
        for frame in layout.frames:
            if segment.start[0] < frame.right and frame.x < segment.end[0]:
                assert level
                assert not frame.y < segment.start[1] < frame.y + frame.height


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_the_order_of_edges_changes_nothing(graph: Graph) -> None:
    sizes, edges = graph

    assert lay_out(sizes, edges) == lay_out(sizes, edges[::-1])


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_reversed_edges_leave_no_cycle(graph: Graph) -> None:
    sizes, edges = graph
    edges = sorted({edge for edge in edges if edge[0] != edge[1]})

    forward, back = without_cycles(len(sizes), edges)

    layers = assign_layers(len(sizes), forward)
    assert all(layers[upstream] < layers[downstream] for upstream, downstream in forward)
    assert {*forward} == {edge for edge in edges if edge not in back} | {(b, a) for a, b in back}


def test_without_cycles_nothing_is_turned_around() -> None:
    edges = [(0, 1), (0, 2), (1, 2), (2, 3)]

    assert without_cycles(4, edges) == (edges, set())


def test_a_chain_is_one_straight_line() -> None:
    layout = lay_out([SIZE] * 5, pairwise(range(5)))

    assert len({frame.middle for frame in layout.frames}) == 1
    assert all(segment.start[1] == segment.end[1] for segment in layout.segments)


def test_a_node_that_one_late_node_alone_needs_stands_next_to_it() -> None:
    assert assign_layers(4, [(0, 1), (1, 2), (3, 2)]) == [0, 1, 2, 1]


def test_many_nodes_without_edges_are_spread_over_columns_row_by_row() -> None:
    layout = lay_out([SIZE] * 300, [])

    assert len({frame.x for frame in layout.frames}) == 8
    assert len({frame.y for frame in layout.frames}) == 38
    assert list(layout.frames) == sorted(layout.frames, key=lambda frame: (frame.y, frame.x))


def test_crossings_that_can_be_avoided_are() -> None:
    layers = [[0, 1, 2], [3, 4, 5]]
    after = [[5], [4], [3], [], [], []]
    before = [[], [], [], [2], [1], [0]]
    assert crossings(layers, after) == 3

    order_layers(layers, before, after)

    assert crossings(layers, after) == 0


def test_edges_from_one_node_share_their_way() -> None:
    layout = lay_out([SIZE] * 6, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (0, 3), (2, 5), (0, 5)])

    level = [segment for segment in layout.segments if segment.start[1] == segment.end[1] and segment.target < 0]

    assert [(segment.source, segment.start[0]) for segment in level] == [(0, layout.frames[n].x) for n in (1, 2, 3)]


def test_faint_edges_go_ways_of_their_own() -> None:
    edges = [(0, 1), (1, 2), (0, 2)]
    together = lay_out([SIZE] * 4, [*edges, (1, 3), (0, 3)])
    apart = lay_out([SIZE] * 4, [*edges, (1, 3), (0, 3)], faint={(0, 3)})

    assert {segment.direction.faint for segment in apart.segments if segment.target == 3} == {True, False}
    assert not [segment for segment in together.segments if segment.direction.faint]
    assert len(apart.segments) == len(together.segments) + 2


def test_a_graph_with_every_edge_there_can_be_is_laid_out() -> None:
    layout = lay_out([SIZE] * MAX_NODES, combinations(range(MAX_NODES), 2))

    assert len({frame.x for frame in layout.frames}) == MAX_NODES


def test_an_empty_graph_has_an_empty_canvas() -> None:
    assert lay_out([], []) == (0.0, 0.0, (), ())


def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_NODES}"):
        lay_out([SIZE] * (MAX_NODES + 1), [])
