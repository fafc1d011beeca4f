"""Requests about partitions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Unpack

import pytest

from databuild.errors import InvalidPatternError, InvalidRequestError, TooManyPartitionsError
from databuild.model.views import DownstreamPage
from databuild.service.builds.requests import Submission
from databuild.service.partitions.partitions import PartitionPage
from tests.support.present import present
from tests.support.world import MakeWorld, World, WorldOptions


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Returns a function that makes worlds with limits, which are closed after the test."""
    worlds: list[World] = []

    def make(uri: str = "memory:", **options: Unpack[WorldOptions]) -> World:
        worlds.append(World(tmp_path, uri, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
def world(make: MakeWorld) -> World:
    return make(max_partitions=10)


async def build(world: World, *partitions: str) -> None:
    view = await world.builds.submit(Submission(partitions=partitions))
    await world.ended(view.build.build_request_id)


def refs(page: PartitionPage | DownstreamPage) -> list[str]:
    return [record.ref for record in page.partitions]


async def test_a_search_narrows_by_all_that_is_said(world: World) -> None:
    await build(world, "raw/1", "raw/10", "raw/x1", "clean/2")
    search = world.service.partitions.search

    assert refs(await search()) == ["clean/2", "raw/1", "raw/10", "raw/2", "raw/x1"]
    assert refs(await search(prefix="raw/1")) == ["raw/1", "raw/10"]
    assert refs(await search(contains="x")) == ["raw/x1"]
    assert refs(await search(pattern="raw/{n:int}")) == ["raw/1", "raw/10", "raw/2"]
    assert refs(await search(pattern="raw/{n:int}", prefix="raw/1", contains="0")) == ["raw/10"]
    assert refs(await search(pattern="raw/{n:int}", prefix="clean/")) == []
    assert refs(await search(status="FAILED")) == []


@pytest.mark.parametrize("pattern", ["", "raw/{n:int}"])
async def test_the_pages_of_a_search_are_all_of_it(world: World, pattern: str) -> None:
    await build(world, "raw/1", "raw/2", "raw/3", "raw/a", "clean/1")
    found, after = [], ""
    while True:
        page = await world.service.partitions.search(prefix="raw/", pattern=pattern, after=after, limit=1)
        found += refs(page)
        after = page.next_after
        if not after:
            break

    assert found == ["raw/1", "raw/2", "raw/3"] + ([] if pattern else ["raw/a"])


async def test_a_search_with_few_matches_stops_early_and_can_be_continued(make: MakeWorld) -> None:
    world = make(max_search_candidates=2)
    await build(world, "raw/a", "raw/b", "raw/c", "raw/9x")

    first = await world.service.partitions.search(pattern="raw/{n:/c/}", limit=1)
    second = await world.service.partitions.search(pattern="raw/{n:/c/}", limit=1, after=first.next_after)

    assert (refs(first), first.next_after) == ([], "raw/a")
    assert refs(second) == ["raw/c"]


async def test_a_pattern_that_cannot_be_read_is_refused(world: World) -> None:
    with pytest.raises(InvalidPatternError):
        await world.service.partitions.search(pattern="{")


async def test_lineage_goes_as_far_as_asked_and_says_whether_that_is_all(world: World) -> None:
    await build(world, "clean/1", "clean/2")
    partitions = world.service.partitions

    up = await partitions.upstream("clean/1", depth=5)
    down = await partitions.downstream("raw/2", depth=5)
    cut = await partitions.upstream("clean/1", depth=5, limit=0)

    assert [(edge.input, edge.output) for edge in up.edges] == [("raw/1", "clean/1")]
    assert [(edge.input, edge.output) for edge in down.edges] == [("raw/2", "clean/2")]
    assert (up.complete, down.complete) == (True, True)
    assert (cut.edges, cut.complete) == ((), False)
    assert (await partitions.upstream("raw/1")).edges == ()


async def test_downstream_partitions_are_listed_by_page_in_one_step_or_in_all(make: MakeWorld) -> None:
    world = make(max_downstream_partitions=3)
    await build(world, "clean/1", "clean/2", "day/2020-01-01..2020-01-03")
    service = world.service.partitions

    direct = await service.list_downstream(("raw/1", "raw/2"), transitive=False, limit=1)
    following = await service.list_downstream(
        ("raw/1", "raw/2"), transitive=False, limit=1, page_token=direct.next_page_token
    )
    whole = await service.list_downstream(("raw/1", "raw/2"), transitive=True)

    assert [(item.ref, item.input, item.distance) for item in direct.partitions] == [("clean/1", "raw/1", 1)]
    assert [(item.ref, item.input, item.distance) for item in following.partitions] == [("clean/2", "raw/2", 1)]
    assert following.next_page_token == ""
    assert refs(whole) == ["clean/1", "clean/2"]
    assert (whole.next_page_token, whole.truncated) == ("", False)
    assert await service.list_downstream(("day/2020-01-01..2020-01-03", "no/job"), transitive=True) == ((), "", False)


async def test_a_transitive_list_ends_at_its_limit_and_says_so(make: MakeWorld) -> None:
    world = make(max_downstream_partitions=1)
    await build(world, "clean/1", "clean/2")

    page = await world.service.partitions.list_downstream(("raw/1", "raw/2"), transitive=True)

    assert (refs(page), page.next_page_token, page.truncated) == (["clean/1"], "", True)


async def test_a_list_of_downstream_partitions_needs_valid_partitions(world: World) -> None:
    for partitions in ((), ("raw/..",), ("day/2020-01-01..2020-12-31",)):
        with pytest.raises(InvalidRequestError):
            await world.service.partitions.list_downstream(partitions, transitive=True)


async def test_an_explanation_has_the_reason_and_the_history(world: World) -> None:
    world.executor.failing = {"clean/1"}
    await build(world, "clean/1")

    explanation = await world.service.partitions.explain("clean/1")

    assert (explanation.planned.reason, explanation.tasks) == (2, 1)  # failed before; raw/1 is there
    assert [run.status for run in explanation.view.history] == ["FAILED"]
    assert present(present(explanation.view.record).failure).category == "USER"


async def test_only_what_is_known_can_be_tainted_and_only_so_much_at_once(world: World) -> None:
    await build(world, "day/2020-01-01..2020-01-03")
    taint = world.service.partitions.taint

    marked = await taint(("day/2020-01-01..2020-01-02",), tainted=True, author="ann", reason="")

    assert list(marked) == ["day/2020-01-01", "day/2020-01-02"]
    assert await world.service.partitions.counts() == {"AVAILABLE": 3, "TAINTED": 2}
    for refs_, error in (
        ((), InvalidRequestError),
        (("raw/9",), InvalidRequestError),
        (("day/2020-01-01..2020-12-31",), TooManyPartitionsError),
    ):
        with pytest.raises(error):
            await taint(refs_, tainted=True, author="ann", reason="")


async def test_more_partitions_than_one_event_has_are_tainted(make: MakeWorld) -> None:
    world = make()
    refs = tuple(f"raw/{number}" for number in range(10_001))
    await world.service.adoptions.adopt(refs, author="ann", reason="there")

    tainted = await world.service.partitions.taint(refs, tainted=True, author="ann", reason="wrong")

    assert list(tainted) == list(refs)
    assert await world.service.partitions.counts() == {"AVAILABLE": 10_001, "TAINTED": 10_001}
