"""The partitions that were made from others, on made-up records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databuild.errors import InvalidRequestError
from databuild.event_log.downstream import all_steps, direct_steps, downstream
from databuild.model.records import PartitionState, PartitionUse
from databuild.model.views import DownstreamPage, DownstreamPartition

_Row = TypeVar("_Row")
Runs = Mapping[str, tuple[Collection[str], Collection[str]]]
Adopted = Mapping[str, Collection[str]]

NONE: Mapping[str, Any] = MappingProxyType({})


class Records:
    """Job runs with their inputs and outputs, and adopted partitions with their inputs; counts the rows it returns."""

    def __init__(self, runs: Runs = NONE, adopted: Adopted = NONE, states: Iterable[PartitionState] = ()) -> None:
        self.outputs = {run: sorted(outputs) for run, (_, outputs) in runs.items()}
        self.all_uses = sorted(
            [PartitionUse(ref, run, "", "1", False) for run, (inputs, _) in runs.items() for ref in set(inputs)]
            + [PartitionUse(ref, "", output, "1", False) for output, inputs in adopted.items() for ref in inputs]
        )
        self.states = {state.ref: state for state in states}
        self.rows = 0

    def uses(
        self, refs: Collection[str], *, after: tuple[str, str, str] | None = None, limit: int = 1000
    ) -> Sequence[PartitionUse]:
        found = (use for use in self.all_uses if use.input in refs and (after is None or use.key > after))
        return self._page(found, limit)

    def outputs_of_runs(
        self, job_run_ids: Collection[str], *, after: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> Sequence[tuple[str, str]]:
        rows = ((run, ref) for run in sorted(job_run_ids) for ref in self.outputs[run])
        return self._page((row for row in rows if row > after), limit)

    def partition_states(self, refs: Collection[str]) -> Mapping[str, PartitionState]:
        return {ref: self.states.get(ref, PartitionState(ref, "AVAILABLE", True, "1")) for ref in refs}

    def _page(self, rows: Iterable[_Row], limit: int) -> list[_Row]:
        page = list(islice(rows, limit))
        self.rows += len(page)
        return page


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
def test_a_walk_finds_everything_downstream_once_at_its_distance(drawn: tuple[Runs, Adopted], start: set[str]) -> None:
    runs, adopted = drawn
    pairs = edges(runs, adopted)

    steps = list(all_steps(Records(runs, adopted), start))

    assert len(steps) == len({step.ref for step in steps})
    assert {step.ref: step.distance for step in steps} == distances(pairs, start)
    assert [step.distance for step in steps] == sorted(step.distance for step in steps)
    assert all((step.use.input, step.ref) in pairs for step in steps)


@given(records(), st.sets(REFS, min_size=1, max_size=3), st.integers(1, 3), st.booleans())
def test_the_pages_of_a_list_are_all_of_it(
    drawn: tuple[Runs, Adopted], start: set[str], limit: int, transitive: bool
) -> None:
    runs, adopted = drawn
    reader = Records(runs, adopted)
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
    reader = Records({"b.1.1": (inputs, outputs)})

    steps = list(all_steps(reader, inputs))

    assert len(steps) == 2000
    assert reader.rows == 4000


def test_a_long_chain_needs_no_recursion() -> None:
    runs = {f"b.{number}.1": ([f"day/{number:04}"], [f"day/{number + 1:04}"]) for number in range(3000)}

    *_, last = all_steps(Records(runs), ["day/0000"])

    assert (last.ref, last.distance) == ("day/3000", 3000)


def test_a_walk_that_is_left_early_reads_no_further() -> None:
    runs = {f"b.{number:05}.1": (["in"], [f"out/{number:05}"]) for number in range(20_000)}
    reader = Records(runs)

    assert len(list(islice(all_steps(reader, ["in"]), 10))) == 10
    assert len(list(islice(direct_steps(reader, ["in"]), 10))) == 10
    assert reader.rows <= 4000


def test_partitions_are_listed_with_what_became_of_them_and_of_their_inputs() -> None:
    states = [
        PartitionState("in", "AVAILABLE", True, "2"),
        PartitionState("old", "FAILED", False, "1"),
        PartitionState("bad", "AVAILABLE", True, "1", tainted=True),
    ]
    reader = Records({"b.1.1": (["in"], ["old", "bad"]), "b.2.1": (["bad"], ["last"])}, states=states)

    page = downstream(reader, ["in"], transitive=True, limit=10)

    assert [item[:3] for item in page.partitions] == [("bad", 1, "in"), ("old", 1, "in"), ("last", 2, "bad")]
    assert [item.available for item in page.partitions] == [True, False, True]
    assert [item.tainted for item in page.partitions] == [True, False, False]
    assert [item.input_changed for item in page.partitions] == [True, True, False]


def test_a_transitive_list_has_a_maximum_over_all_pages() -> None:
    runs = {f"b.{number}.1": (["in"], [f"out/{number}"]) for number in range(5)}

    def page(token: str) -> DownstreamPage:
        return downstream(Records(runs), ["in"], transitive=True, limit=2, page_token=token, max_partitions=3)

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
        downstream(Records(), ["in"], transitive=transitive, limit=2, page_token=token)
