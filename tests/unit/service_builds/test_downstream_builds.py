"""Builds, plans and taints of everything downstream of partitions, through the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.errors import BuildConflictError, InvalidRequestError, NothingDownstreamError, TooManyPartitionsError
from databuild.graph.catalog import JobCatalog
from databuild.service.builds.requests import Submission
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.world import CLEAN, MakeWorld, World, catalog, submission


async def build(world: World, *partitions: str, build_request_id: str = "") -> None:
    view = await world.builds.submit(submission(*partitions, build_request_id=build_request_id, force=True))
    await world.ended(view.build.build_request_id)


def downstream_of(*partitions: str, build_request_id: str = "b") -> Submission:
    return Submission(partitions=partitions, build_request_id=build_request_id, downstream=True)


@pytest.fixture
async def built(world: World) -> World:
    """Returns a service where clean/1 and clean/2 are stale, and clean/3 is fresh."""
    await build(world, "clean/1", "clean/2", "clean/3")
    await build(world, "raw/1", "raw/2")
    world.executor.made.clear()
    return world


async def test_a_build_of_what_is_downstream_builds_what_is_stale(built: World) -> None:
    view = await built.builds.submit(downstream_of("raw/1", "raw/3"))
    events = await built.ended("b")

    assert view.build.requested == ("clean/1", "clean/3")
    assert built.executor.made == ["clean/1"]
    assert events[-1].build_request.status == ev.BUILD_STATUS_COMPLETED


async def test_the_first_event_has_what_was_asked_for_and_what_that_was(built: World) -> None:
    await built.builds.submit(downstream_of("raw/1", "raw/3"))

    received = (await built.ended("b"))[0].build_request

    assert [ref.str for ref in received.downstream_of] == ["raw/1", "raw/3"]
    assert [ref.str for ref in received.requested] == ["clean/1", "clean/3"]


async def test_a_retry_requests_what_was_downstream_at_first(built: World) -> None:
    built.executor.failing = {"clean/1"}
    await built.builds.submit(downstream_of("raw/1"))
    await built.ended("b")
    await build(built, "clean/1")
    built.executor.failing.clear()

    view = await built.builds.retry("b", Submission(build_request_id="again"))
    events = await built.ended("again")

    assert view.build.requested == ("clean/1",)
    assert events[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    assert not events[0].build_request.downstream_of


async def test_a_repeated_request_means_what_it_meant_at_first(built: World) -> None:
    gate = built.executor.gate("clean/1")
    await built.builds.submit(downstream_of("raw/1"))
    running = await built.builds.submit(downstream_of("raw/1"))
    gate.open()
    await built.ended("b")
    built.executor.queried = {"clean/2": ["raw/1"]}
    await build(built, "clean/2")
    ended = await built.builds.submit(downstream_of("raw/1"))

    assert running.build.requested == ended.build.requested == ("clean/1",)
    later = await built.builds.submit(downstream_of("raw/1", build_request_id="later"))
    assert later.build.requested == ("clean/1", "clean/2")


@pytest.mark.parametrize("other", [downstream_of("raw/1", "raw/2"), submission("clean/1", build_request_id="b")])
async def test_another_request_with_the_same_id_is_an_error(built: World, other: Submission) -> None:
    await built.builds.submit(downstream_of("raw/1"))
    await built.ended("b")

    with pytest.raises(BuildConflictError, match="other partitions"):
        await built.builds.submit(other)


async def test_partitions_without_a_producer_are_left_out_with_a_warning(make: MakeWorld, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    await build(make(uri), "clean/1", "clean/2")
    jobs = catalog().jobs
    only_two = jobs[CLEAN]._replace(outputs=("clean/{n:/2/}",))
    world = make(uri, catalog=JobCatalog(graph_label="//:g", jobs={**jobs, CLEAN: only_two}))

    await world.builds.submit(downstream_of("raw/1", "raw/2"))
    events = await world.ended("b")
    plan = await world.service.partitions.plan(("raw/1", "raw/2"), downstream=True)

    warning = "clean/1 is downstream too, but left out: no job of the graph produces it any more"
    assert list(events[0].build_request.warnings) == list(events[-1].build_request.warnings) == [warning]
    assert (await world.builds.get("b")).warnings == (warning,)
    assert (plan.requested, plan.warnings) == (("clean/2",), (warning,))


@pytest.mark.parametrize(
    ("partitions", "error"),
    [
        ((), InvalidRequestError),
        (("raw/..",), InvalidRequestError),
        (("clean/1", "nobody/makes_this"), NothingDownstreamError),
        (("day/0001-01-01..9999-12-31",), TooManyPartitionsError),
        (("source",), TooManyPartitionsError),
    ],
)
async def test_a_request_that_cannot_be_met_starts_nothing(
    make: MakeWorld, partitions: tuple[str, ...], error: type[InvalidRequestError]
) -> None:
    world = make(max_partitions=3)
    world.executor.queried = {f"clean/{number}": ["source"] for number in range(1, 5)}
    await build(world, "clean/1", "clean/2", "clean/3")
    await build(world, "clean/4")

    with pytest.raises(error):
        await world.builds.submit(downstream_of(*partitions))
    with pytest.raises(error):
        await world.service.partitions.plan(partitions, downstream=True)

    assert len((await world.builds.list_builds()).builds) == 2


async def test_a_plan_has_its_own_partitions(built: World) -> None:
    plan = await built.service.partitions.plan(("raw/1", "raw/3"), downstream=True)

    with pytest.raises(InvalidRequestError, match="plan names its partitions"):
        await built.builds.submit(Submission(plan=plan, downstream=True))
    await built.builds.submit(Submission(plan=plan, build_request_id="b"))
    await built.ended("b")

    assert {planned.ref: planned.reason for planned in plan.partitions if planned.requested} == {
        "clean/1": pt.REASON_INPUT_CHANGED,
        "clean/3": pt.REASON_UP_TO_DATE,
    }
    assert built.executor.made == ["clean/1"]


async def test_a_taint_reaches_everything_downstream_and_can_be_removed(built: World) -> None:
    taint = built.service.partitions.taint

    marked = await taint(("raw/1", "raw/2"), tainted=True, author="ann", reason="wrong", downstream=True)

    assert list(marked) == ["clean/1", "clean/2", "raw/1", "raw/2"]
    assert (await built.service.partitions.counts())["TAINTED"] == 4
    record = (await built.service.partitions.get("clean/1")).record
    assert record is not None
    assert record.taint_reason == "ann: wrong"
    await taint(("raw/2",), tainted=False, author="ann", reason="right", downstream=True)
    assert (await built.service.partitions.counts())["TAINTED"] == 2


async def test_a_taint_of_what_is_downstream_needs_a_record_of_something(built: World) -> None:
    for partitions in ((), ("nobody/makes_this",)):
        with pytest.raises(InvalidRequestError):
            await built.service.partitions.taint(partitions, tainted=True, author="ann", reason="", downstream=True)
