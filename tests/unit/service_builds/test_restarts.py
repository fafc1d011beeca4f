"""The end of a service, and the builds that it leaves to the next one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from databuild.errors import (
    BuildStateError,
    ShuttingDownError,
)
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.service.builds.abandoned_builds import find_abandoned_builds
from databuild.service.builds.requests import Submission
from databuild.v1 import events_pb2 as ev
from tests.support.present import present
from tests.support.waiting import turns_until
from tests.support.world import MakeWorld, World, submission


async def test_draining_takes_no_new_builds_and_lets_the_others_end(make: MakeWorld) -> None:
    world = make(max_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b1"))
    await world.builds.submit(submission("raw/2", build_request_id="b2"))
    await gate.reached.wait()
    draining = asyncio.create_task(world.service.drain(60))
    await asyncio.sleep(0)

    with pytest.raises(ShuttingDownError):
        await world.builds.submit(submission("raw/3"))
    gate.open()

    assert not await draining, "b2 still waits"
    assert (await world.builds.get("b1")).build.status == "COMPLETED"
    assert (await world.builds.get("b2")).build.status == "RECEIVED"


async def test_closing_cancels_what_runs(make: MakeWorld, tmp_path: Path) -> None:
    world = make(f"sqlite:{tmp_path}/events.db", max_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b1"))
    await world.builds.submit(submission("raw/2", build_request_id="b2"))
    await gate.reached.wait()

    await world.service.close()

    after = make(f"sqlite:{tmp_path}/events.db")
    builds = [view.build for view in (await after.builds.list_builds()).builds]
    assert [build.status for build in builds] == ["CANCELLED", "CANCELLED"]
    said = "the build was cancelled by the service at shutdown"
    assert [present(build.failure).message for build in builds] == [said, said]


async def test_builds_that_are_left_have_no_end(make: MakeWorld, tmp_path: Path) -> None:
    world = make(f"sqlite:{tmp_path}/events.db", max_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b1"))
    await world.builds.submit(submission("raw/2", build_request_id="b2"))
    await gate.reached.wait()

    await world.service.close(leave_builds=True)

    after = make(f"sqlite:{tmp_path}/events.db")
    assert [view.build.status for view in (await after.builds.list_builds()).builds] == ["RECEIVED", "EXECUTING"]


async def test_a_service_that_starts_ends_the_dead(make: MakeWorld, tmp_path: Path) -> None:
    world = make(f"sqlite:{tmp_path}/events.db", process="before")
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await gate.reached.wait()
    await world.service.close(leave_builds=True)
    after = make(f"sqlite:{tmp_path}/events.db", gone=("before",))

    assert await after.service.start() == ["b"]

    build = (await after.builds.get("b")).build
    assert (build.status, present(build.failure).category) == ("FAILED", "INFRASTRUCTURE")
    assert after.executor.ended == ["b"]


async def left_in_a_queue(make: MakeWorld, tmp_path: Path, *submissions: tuple[str, Submission]) -> World:
    """Leaves builds in the queue of a service that dies, and returns the next service."""
    world = make(f"sqlite:{tmp_path}/events.db", max_builds=1, process="before")
    gate = world.executor.gate("raw/0")
    await world.builds.submit(submission("raw/0", build_request_id="running"), submitter="ann")
    await gate.reached.wait()
    for submitter, asked in submissions:
        await world.builds.submit(asked, submitter=submitter)
    await world.service.close(leave_builds=True)
    return make(f"sqlite:{tmp_path}/events.db", max_builds=1, gone=("before",))


async def test_builds_that_waited_go_on_in_their_old_order_in_the_next_service(make: MakeWorld, tmp_path: Path) -> None:
    after = await left_in_a_queue(
        make,
        tmp_path,
        ("ann", submission("raw/1", build_request_id="z")),
        ("ann", submission("clean/2", "clean/3", build_request_id="y", keep_going=True, jobs=2, force=True)),
        ("bob", submission("raw/4", build_request_id="x")),
    )
    after.executor.gate("raw/1")

    assert await after.service.start() == ["running"]

    await after.executor.gates["raw/1"].reached.wait()
    places = {view.build.build_request_id: view.queue_position for view in (await after.builds.list_builds()).builds}
    assert places == {"z": 0, "y": 1, "x": 2, "running": 0}
    after.executor.gates["raw/1"].open()
    for build in "xyz":
        events = await after.ended(build)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert events[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    assert after.executor.made == ["raw/1", "raw/2", "raw/3", "clean/2", "clean/3", "raw/4"]
    again = submission("clean/2", "clean/3", build_request_id="y", keep_going=True, jobs=2, force=True)
    assert (await after.builds.submit(again)).build.status == "COMPLETED", "the same request with the same id"


async def test_a_build_that_went_on_has_the_events_of_any_other(make: MakeWorld, tmp_path: Path) -> None:
    after = await left_in_a_queue(make, tmp_path, ("ann", submission("clean/1", build_request_id="b")))
    await after.service.start()
    await after.ended("b")
    await after.builds.submit(submission("clean/2", build_request_id="c"))
    await after.ended("c")

    kinds = [[event.WhichOneof("event") for event in await after.builds.events(build)] for build in "bc"]
    assert kinds[0] == kinds[1]


async def test_a_plan_is_not_recorded_so_that_its_build_cannot_go_on(make: MakeWorld, tmp_path: Path) -> None:
    plan = await make().service.partitions.plan(("raw/1",))
    after = await left_in_a_queue(make, tmp_path, ("ann", Submission(plan=plan, build_request_id="b")))

    assert await after.service.start() == ["b", "running"]

    assert (await after.builds.get("b")).build.status == "FAILED"


async def test_a_build_that_is_left_can_be_cancelled_and_not_retried(make: MakeWorld, tmp_path: Path) -> None:
    after = await left_in_a_queue(make, tmp_path, ("ann", submission("raw/1", build_request_id="b")))
    with pytest.raises(BuildStateError):
        await after.builds.retry("b", Submission())
    await after.builds.cancel("b", "bob")

    assert await after.service.start() == ["b", "running"]

    build = (await after.builds.get("b")).build
    assert (build.status, present(build.failure).message) == ("CANCELLED", "the build was cancelled by bob")
    assert after.executor.made == []


async def test_no_other_build_and_no_service_of_another_graph_ends_what_is_left(
    make: MakeWorld, tmp_path: Path
) -> None:
    after = await left_in_a_queue(make, tmp_path, ("ann", submission("raw/1", build_request_id="b")))
    await run_build(
        BuildRequest(build_request_id="c", requested=("raw/2",)),
        BuildContext(
            catalog=after.service.catalog,
            event_log=after.log,
            executor=after.executor,
            settings=after.settings,
            liveness=after.liveness,
        ),
    )
    other = make(
        f"sqlite:{tmp_path}/events.db",
        catalog=after.service.catalog._replace(graph_label="//:other"),
        gone=("before",),
    )
    await other.service.start()

    assert (await after.builds.get("running")).build.status == "FAILED"
    assert (await after.builds.get("b")).build.status == "RECEIVED"


async def test_of_two_services_one_goes_on(make: MakeWorld, tmp_path: Path) -> None:
    one = await left_in_a_queue(make, tmp_path, ("ann", submission("raw/1", build_request_id="b")))
    other = make(f"sqlite:{tmp_path}/events.db", process="other", gone=("before",))
    left = [find_abandoned_builds(world.log.reader(), "//:g", world.liveness) for world in (one, other)]

    for world, ((build,),) in zip((one, other), ((left[0],), (left[1],)), strict=True):
        assert world.service.running.resume(*build)

    assert (await one.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    await turns_until(lambda: not (one.service.running.get("b") or other.service.running.get("b")))
    assert one.executor.made + other.executor.made == ["raw/1"]


async def test_a_service_that_was_taken_for_dead_lets_go_of_what_waited(make: MakeWorld, tmp_path: Path) -> None:
    paused = make(f"sqlite:{tmp_path}/events.db", max_builds=1, process="paused")
    gate = paused.executor.gate("raw/0")
    await paused.builds.submit(submission("raw/0"))
    await gate.reached.wait()
    await paused.builds.submit(submission("raw/1", build_request_id="b"), submitter="ann")
    other = make(f"sqlite:{tmp_path}/events.db", process="other", gone=("paused",))
    (build,) = find_abandoned_builds(other.log.reader(), "//:g", other.liveness)
    other.service.running.resume(*build)
    await other.ended("b")

    gate.open()

    await turns_until(lambda: not paused.service.running.get("b"))
    assert "raw/1" not in paused.executor.made
    assert other.executor.made == ["raw/1"]
