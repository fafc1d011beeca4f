"""Builds wait in the queue, and are cancelled and retried."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.errors import (
    BuildConflictError,
    BuildStateError,
    OverloadedError,
)
from databuild.service.builds.requests import Submission
from databuild.v1 import events_pb2 as ev
from tests.support.world import MakeWorld, World, submission


async def test_builds_beyond_the_limit_wait_visibly(make: MakeWorld) -> None:
    world = make(max_builds=1)
    gate = world.executor.gate("raw/1")
    for number in (1, 2, 3):
        await world.builds.submit(submission(f"raw/{number}", build_request_id=f"b{number}"))
    await gate.reached.wait()

    page = await world.builds.list_builds()

    places = {view.build.build_request_id: (view.build.status, view.queue_position) for view in page.builds}
    assert places == {"b3": ("RECEIVED", 2), "b2": ("RECEIVED", 1), "b1": ("EXECUTING", 0)}
    gate.open()
    await world.ended("b3")
    assert world.executor.made == ["raw/1", "raw/2", "raw/3"]
    assert [view.queue_position for view in (await world.builds.list_builds()).builds] == [0, 0, 0]


async def test_the_answer_to_a_submission_is_the_record_of_the_event_log(make: MakeWorld) -> None:
    world = make(max_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1"))
    answers = [
        await world.builds.submit(
            submission(f"raw/{number}", "day/2020-01-01..2020-01-02", build_request_id=f"b{number}")
        )
        for number in (2, 3)
    ]

    assert answers == [await world.builds.get("b2"), await world.builds.get("b3")]
    assert [view.queue_position for view in answers] == [1, 2]
    gate.open()


async def test_submitters_take_turns(make: MakeWorld) -> None:
    world = make(max_builds=1)
    gate = world.executor.gate("raw/0")
    await world.builds.submit(submission("raw/0", build_request_id="b0"), submitter="many")
    for number in (1, 2, 3):
        await world.builds.submit(submission(f"raw/{number}"), submitter="many")
    await world.builds.submit(submission("raw/one", build_request_id="last"), submitter="few")

    gate.open()
    await world.ended("last")

    assert world.executor.made.index("raw/one") <= 2


async def test_a_build_is_refused_where_too_many_wait(make: MakeWorld) -> None:
    world = make(max_builds=1, max_queued_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1"))
    await world.builds.submit(submission("raw/2"))

    with pytest.raises(OverloadedError):
        await world.builds.submit(submission("raw/3"))

    gate.open()


async def test_a_build_that_waits_can_be_cancelled(make: MakeWorld) -> None:
    world = make(max_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1"))
    await world.builds.submit(submission("raw/2", build_request_id="b"))
    await gate.reached.wait()

    await world.builds.cancel("b", "ann")

    end = (await world.ended("b"))[-1].build_request
    assert (end.status, end.failure.message) == (ev.BUILD_STATUS_CANCELLED, "the build was cancelled by ann")
    gate.open()
    assert world.executor.made == ["raw/1"]


async def test_a_build_that_waits_is_cancelled_by_another_process(make: MakeWorld, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    world, other = make(uri, max_builds=1, cancel_poll_seconds=0), make(uri)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1"))
    await world.builds.submit(submission("raw/2", build_request_id="b"))

    await other.builds.cancel("b", "ann")

    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_CANCELLED
    gate.open()


async def test_a_build_that_runs_can_be_cancelled(world: World) -> None:
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await gate.reached.wait()

    view = await world.builds.cancel("b", "ann")

    assert view.build.cancel_requested_by == "ann"
    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_CANCELLED


async def test_a_build_that_has_ended_cannot_be_cancelled(world: World) -> None:
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await world.ended("b")

    with pytest.raises(BuildStateError):
        await world.builds.cancel("b", "ann")


async def test_a_retry_asks_for_the_same_and_repeats_nothing(world: World) -> None:
    world.executor.failing = {"clean/1"}
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    await world.ended("b")
    world.executor.failing = set()

    view = await world.builds.retry("b", Submission(build_request_id="again"))

    await world.ended("again")
    assert view.build.retry_of_build_request_id == "b"
    assert view.build.requested == ("clean/1",)
    assert world.executor.made == ["raw/1", "clean/1", "clean/1"]


async def test_a_retry_of_failed_jobs_asks_for_what_they_should_have_made(world: World) -> None:
    world.executor.failing = {"raw/1"}
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    await world.ended("b")

    view = await world.builds.retry("b", Submission(), failed_jobs_only=True)

    assert view.build.requested == ("raw/1",)


async def test_a_retry_is_idempotent_and_knows_what_it_retries(world: World) -> None:
    world.executor.failing = {"raw/1"}
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await world.ended("b")
    retry = Submission(build_request_id="again")
    await world.builds.retry("b", retry)
    await world.ended("again")

    await world.builds.retry("b", retry)

    assert len((await world.builds.list_builds()).builds) == 2
    with pytest.raises(BuildConflictError):
        await world.builds.submit(submission("raw/1", build_request_id="again"))


async def test_a_build_that_runs_cannot_be_retried(world: World) -> None:
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))

    with pytest.raises(BuildStateError):
        await world.builds.retry("b", Submission())

    gate.open()
