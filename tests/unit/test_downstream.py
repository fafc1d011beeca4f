"""The partitions that were made from others, on made-up records."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidRequestError
from databuild.event_log.downstream import all_steps, direct_steps, downstream
from databuild.model.records import PartitionState
from databuild.model.views import DownstreamPage, DownstreamPartition
from tests.support.lineage_records import Adopted, LineageRecords, Runs


def edges(runs: Runs, adopted: Adopted) -> set[tuple[str, str]]:
    """Returns every pair of an input and an output."""
    of_runs = {(ref, output) for inputs, outputs in runs.values() for ref in inputs for output in outputs}
    return of_runs | {(ref, output) for output, inputs in adopted.items() for ref in inputs}


def distances(pairs: Collection[tuple[str, str]], start: Collection[str]) -> dict[str, int]:
    """Returns the distance of everything downstream by brute force."""
    found: dict[str, int] = {}
    level, distance = set(start), 0
    while level:
        distance += 1
        level = {output for ref, output in pairs if ref in level} - found.keys()
        found.update(dict.fromkeys(level, distance))
        level -= set(start)
    return found


REFS = st.sampled_from("abcdefgh")
SOME = st.sets(REFS, max_size=4)


@st.composite
def records(draw: st.DrawFn) -> tuple[Runs, Adopted]:
    """Draws job runs and adopted partitions; each ref is the output of one of them at most."""
    free = list("abcdefgh")
    runs: dict[str, tuple[set[str], set[str]]] = {}
    for number in range(draw(st.integers(0, 4))):
        outputs = draw(st.sets(st.sampled_from(free), max_size=3)) if free else set()
        free = [ref for ref in free if ref not in outputs]
        if outputs:
            runs[f"b.{number}.1"] = (draw(SOME), outputs)
    adopted = {ref: draw(SOME) for ref in (draw(st.sets(st.sampled_from(free), max_size=3)) if free else ())}
    return runs, adopted


@given(records(), st.sets(REFS, min_size=1, max_size=3))
@settings(deadline=None)
def test_a_walk_finds_everything_downstream_once_at_its_distance(drawn: tuple[Runs, Adopted], start: set[str]) -> None:
    runs, adopted = drawn
    pairs = edges(runs, adopted)

    steps = list(all_steps(LineageRecords(runs, adopted), start))

    assert len(steps) == len({step.ref for step in steps})
    assert {step.ref: step.distance for step in steps} == distances(pairs, start)
    assert [step.distance for step in steps] == sorted(step.distance for step in steps)
    assert all((step.use.input, step.ref) in pairs for step in steps)


@given(records(), st.sets(REFS, min_size=1, max_size=3), st.integers(1, 3), st.booleans())
@settings(deadline=None)
def test_the_pages_of_a_list_are_all_of_it(
    drawn: tuple[Runs, Adopted], start: set[str], limit: int, transitive: bool
) -> None:
    runs, adopted = drawn
    reader = LineageRecords(runs, adopted)
    found: list[DownstreamPartition] = []
    token = ""
    while True:
        page = downstream(reader, start, transitive=transitive, limit=limit, page_token=token)
        assert len(page.partitions) <= limit
        found += page.partitions
        token = page.next_page_token
        if not token:
            break

    assert tuple(found) == downstream(reader, start, transitive=transitive, limit=1000).partitions
    if not transitive:
        pairs = {(ref, output) for ref, output in edges(runs, adopted) if ref in start}
        assert sorted((item.input, item.ref) for item in found) == sorted(pairs)


def test_a_run_with_many_inputs_and_outputs_is_read_once() -> None:
    inputs = [f"in/{number:04}" for number in range(2000)]
    outputs = [f"out/{number:04}" for number in range(2000)]
    reader = LineageRecords({"b.1.1": (inputs, outputs)})

    steps = list(all_steps(reader, inputs))

    assert len(steps) == 2000
    assert reader.rows == 4000


def test_a_long_chain_needs_no_recursion() -> None:
    runs = {f"b.{number}.1": ([f"day/{number:04}"], [f"day/{number + 1:04}"]) for number in range(3000)}

    *_, last = all_steps(LineageRecords(runs), ["day/0000"])

    assert (last.ref, last.distance) == ("day/3000", 3000)


def test_a_walk_that_is_left_early_reads_no_further() -> None:
    runs = {f"b.{number:05}.1": (["in"], [f"out/{number:05}"]) for number in range(20_000)}
    reader = LineageRecords(runs)

    assert len(list(islice(all_steps(reader, ["in"]), 10))) == 10
    assert len(list(islice(direct_steps(reader, ["in"]), 10))) == 10
    assert reader.rows <= 4000


def test_partitions_are_listed_with_what_became_of_them_and_of_their_inputs() -> None:
    states = [
        PartitionState("in", "AVAILABLE", True, "2"),
        PartitionState("old", "FAILED", False, "1"),
        PartitionState("bad", "AVAILABLE", True, "1", tainted=True),
    ]
    reader = LineageRecords({"b.1.1": (["in"], ["old", "bad"]), "b.2.1": (["bad"], ["last"])}, states=states)

    page = downstream(reader, ["in"], transitive=True, limit=10)

    assert [item[:3] for item in page.partitions] == [("bad", 1, "in"), ("old", 1, "in"), ("last", 2, "bad")]
    assert [item.available for item in page.partitions] == [True, False, True]
    assert [item.tainted for item in page.partitions] == [True, False, False]
    assert [item.input_changed for item in page.partitions] == [True, True, False]


def test_a_transitive_list_has_a_maximum_over_all_pages() -> None:
    runs = {f"b.{number}.1": (["in"], [f"out/{number}"]) for number in range(5)}

    def page(token: str) -> DownstreamPage:
        return downstream(LineageRecords(runs), ["in"], transitive=True, limit=2, page_token=token, max_partitions=3)

    first = page("")
    last = page(first.next_page_token)
    assert [item.ref for item in (*first.partitions, *last.partitions)] == ["out/0", "out/1", "out/2"]
    assert (first.truncated, last.truncated, last.next_page_token) == (False, True, "")
    with pytest.raises(InvalidRequestError, match="page token"):
        page("4")


@pytest.mark.parametrize(
    ("transitive", "token"),
    [
        (True, "x"),
        (True, "-1"),
        (True, "9" * 30),
        (False, "7"),
        (False, "["),
        (False, '["a","b"]'),
        (False, '[["a"],"",""]'),
        (False, '[["a","b",3],"",""]'),
        (False, '[null,"",7]'),
        (False, '[null,"","\\u0000"]'),
        (False, '[null,"\\ud800",""]'),
        (False, "[" * 100_000),
    ],
)
def test_a_page_token_of_something_else_is_refused(transitive: bool, token: str) -> None:
    with pytest.raises(InvalidRequestError, match="page token"):
        downstream(LineageRecords(), ["in"], transitive=transitive, limit=2, page_token=token)
