"""A build is submitted once, even if the caller repeats the request or disconnects."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Unpack

import pytest

from databuild.errors import (
    BuildConflictError,
    DataBuildError,
    InvalidRequestError,
    TooManyPartitionsError,
    UnknownPartitionError,
)
from databuild.model.build_options import BuildKeywords, BuildOptions
from databuild.model.results import Success
from databuild.model.view_messages import build_from_message, build_to_message
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.downstream_request import Requested
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.service.builds.requests import Submission, build_request
from databuild.service.resources.limits import Limits
from databuild.v1 import events_pb2 as ev
from tests.support.waiting import turns
from tests.support.world import MakeWorld, World, submission


async def test_a_submitted_build_is_recorded_when_the_answer_comes(world: World) -> None:
    gate = world.executor.gate("raw/1")

    view = await world.builds.submit(submission("raw/1", build_request_id="b"))

    assert view.build.build_request_id == "b"
    assert view.build.requested == ("raw/1",)
    assert view.build.status not in {"COMPLETED", "FAILED"}
    gate.open()
    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_COMPLETED


async def test_a_build_writes_the_events_that_run_build_writes(world: World) -> None:
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    events = await world.ended("b")
    result = await run_build(
        BuildRequest(build_request_id="c", requested=("clean/2",)),
        BuildContext(
            catalog=world.service.catalog, event_log=world.log, executor=world.executor, settings=world.settings
        ),
    )

    assert result == Success(jobs_completed=2)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == [event.WhichOneof("event") for event in world.log.reader().events("c")]


async def test_without_partitions_the_default_ones_are_built(world: World) -> None:
    view = await world.builds.submit(Submission())

    assert view.build.requested == ("raw/1",)


async def test_ranges_are_expanded(world: World) -> None:
    view = await world.builds.submit(submission("day/d=2020-01-01..2020-01-03".replace("d=", "")))

    assert view.build.requested == ("day/2020-01-01", "day/2020-01-02", "day/2020-01-03")


@pytest.mark.parametrize("at", ["running", "ended"])
async def test_the_same_request_with_the_same_id_starts_nothing_new(world: World, at: str) -> None:
    gate = world.executor.gate("raw/1")
    request = submission("raw/1", build_request_id="b", keep_going=True)
    await world.builds.submit(request)
    if at == "ended":
        gate.open()
        await world.ended("b")

    again = await world.builds.submit(request)

    gate.open()
    await world.ended("b")
    assert again.build.build_request_id == "b"
    assert world.executor.made == ["raw/1"]


@pytest.mark.parametrize("at", ["running", "ended"])
@pytest.mark.parametrize(
    ("ref", "options", "difference"),
    [
        ("raw/2", {}, "other partitions"),
        ("raw/1", {"keep_going": True}, "keep_going"),
        ("raw/1", {"jobs": 3}, "jobs"),
        ("raw/1", {"force": True}, "force"),
        ("raw/1", {"reuse_stale": True, "keep_going": True}, "reuse_stale, keep_going"),
    ],
)
async def test_another_request_with_the_same_id_is_an_error(
    world: World, at: str, ref: str, options: BuildKeywords, difference: str
) -> None:
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    if at == "ended":
        gate.open()
        await world.ended("b")

    with pytest.raises(BuildConflictError) as raised:
        await world.builds.submit(submission(ref, build_request_id="b", **options))

    assert raised.value.difference == difference


async def test_a_request_that_is_made_twice_at_once_starts_one_build(world: World) -> None:
    request = submission("raw/1", build_request_id="b")

    views = await asyncio.gather(*(world.builds.submit(request) for _ in range(5)))

    await world.ended("b")
    assert {view.build.build_request_id for view in views} == {"b"}
    assert world.executor.made == ["raw/1"]


async def test_an_id_that_another_process_used_meanwhile_is_told_apart(make: MakeWorld, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    one, other = make(uri), make(uri)

    views = await asyncio.gather(
        *(world.builds.submit(submission("raw/1", build_request_id="b")) for world in (one, other))
    )

    assert [view.build.build_request_id for view in views] == ["b", "b"]
    await one.ended("b")
    assert len(one.executor.made + other.executor.made) == 1


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (submission("nothing/1"), UnknownPartitionError),
        (submission("day/2020-01-03..2020-01-01"), InvalidRequestError),
        (submission("day/0001-01-01..9999-12-31"), TooManyPartitionsError),
        (submission(*(f"raw/{number}" for number in range(101))), TooManyPartitionsError),
        (submission("raw/1", build_request_id="../x"), InvalidRequestError),
        (submission("raw/1", build_request_id="latest"), InvalidRequestError),
        (submission("raw/1", jobs=1001), InvalidRequestError),
        (submission("raw/1", jobs=-1), InvalidRequestError),
    ],
)
async def test_a_request_that_makes_no_sense_starts_nothing(
    make: MakeWorld, request_: Submission, error: type[DataBuildError]
) -> None:
    world = make(max_partitions=100)

    with pytest.raises(error):
        await world.builds.submit(request_)

    assert (await world.builds.list_builds()).builds == ()


async def test_a_caller_that_goes_away_does_not_take_the_build_with_it(world: World) -> None:
    gate = world.executor.gate("raw/1")
    asking = asyncio.create_task(world.builds.submit(submission("raw/1", build_request_id="b")))
    while world.service.running.get("b") is None:
        await asyncio.sleep(0)

    asking.cancel()
    await gate.reached.wait()
    gate.open()

    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_COMPLETED


async def test_builds_are_listed_by_key_and_status(world: World) -> None:
    for number in range(5):
        await world.builds.submit(submission("raw/1", build_request_id=f"b{number}"))
        await world.ended(f"b{number}")

    page = await world.builds.list_builds(limit=2)
    rest = await world.builds.list_builds(limit=10, before=page.next_before)

    assert [view.build.build_request_id for view in page.builds] == ["b4", "b3"]
    assert [view.build.build_request_id for view in rest.builds] == ["b2", "b1", "b0"]
    assert rest.next_before == ""
    assert (await world.builds.list_builds(status="FAILED")).builds == ()


async def test_the_progress_of_planning_is_shown_while_it_goes_on(world: World) -> None:
    world.executor.hangs = True
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    while (view := await world.builds.get("b")).planning is None or not view.planning.configuring_jobs:
        await turns()

    assert view.build.status == "PLANNING"
    assert view.planning == (1, 1, 1, ("//:clean",))
    assert build_from_message(build_to_message(view)) == view
    await world.builds.cancel("b", "ann")
    await world.ended("b")
    assert (await world.builds.get("b")).planning is None


async def test_warnings_are_told_while_a_build_runs_and_after_its_end(world: World) -> None:
    gate = world.executor.gate("raw/1..3")
    await world.builds.submit(submission("raw/1..3", build_request_id="b"))
    await gate.reached.wait()
    during = await world.builds.get("b")
    gate.open()
    events = await world.ended("b")
    after = await world.builds.get("b")

    (warning,) = during.warnings
    assert warning.startswith("'raw/1..3' is one partition, not a range")
    assert after.warnings == during.warnings
    assert build_from_message(build_to_message(after)) == after
    told = [event.build_request for event in events if event.build_request.warnings]
    assert [one.status for one in told] == [ev.BUILD_STATUS_ANALYSIS_COMPLETED, ev.BUILD_STATUS_COMPLETED]


@pytest.mark.parametrize(
    ("requested", "recorded"), [("", "dask://engine:1"), ("local", ""), ("dask://engine:1", "dask://engine:1")]
)
def test_a_request_chooses_between_the_engine_of_the_service_and_its_machine(requested: str, recorded: str) -> None:
    limits = Limits(default_executor="dask://engine:1", default_jobs=7)
    wanted = Submission(options=BuildOptions(executor=requested))

    options = build_request(wanted, Requested(("raw/1",)), limits, "").options

    assert options.executor == recorded
    assert options.jobs == (0 if recorded else 7)


def test_the_service_may_limit_the_job_runs_on_its_engine() -> None:
    limits = Limits(default_executor="dask://engine:1", default_jobs=7, default_jobs_on_engine=9)

    def jobs(**options: Unpack[BuildKeywords]) -> int:
        return build_request(
            Submission(options=BuildOptions(**options)), Requested(("raw/1",)), limits, ""
        ).options.jobs

    assert (jobs(), jobs(jobs=3), jobs(executor="local")) == (9, 3, 7)


def test_an_engine_that_the_service_does_not_use_is_refused() -> None:
    wanted = Submission(options=BuildOptions(executor="dask://other:1"))

    with pytest.raises(InvalidRequestError, match=r"executor is 'dask://other:1'; this service has local$"):
        build_request(wanted, Requested(("raw/1",)), Limits(), "")
