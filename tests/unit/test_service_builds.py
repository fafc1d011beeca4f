"""The service's builds: submitted once, queued in turn, watched without gap or double."""

import asyncio
import dataclasses

import pytest

from databuild.errors import (
    BuildConflictError,
    BuildNotFoundError,
    BuildStateError,
    InvalidRequestError,
    OverloadedError,
    ShuttingDownError,
    TooManyPartitionsError,
    UnknownPartitionError,
)
from databuild.model.build_options import BuildOptions
from databuild.model.results import Success
from databuild.model.view_messages import build_from_message, build_to_message
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.service.builds.abandoned_builds import find_abandoned_builds
from databuild.service.builds.requests import Submission
from databuild.v1 import events_pb2 as ev
from tests.service.world import World


@pytest.fixture
async def make(tmp_path):
    """Returns a function that makes worlds, which are closed in the end."""
    worlds = []

    def make(*args, **limits):
        worlds.append(World(tmp_path, *args, **limits))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
def world(make):
    return make()


def submission(*partitions, build_request_id="", **options):
    return Submission(partitions=partitions, build_request_id=build_request_id, options=BuildOptions(**options))


async def test_a_submitted_build_is_recorded_when_the_answer_comes(world):
    gate = world.executor.gate("raw/1")

    view = await world.builds.submit(submission("raw/1", build_request_id="b"))

    assert view.build.build_request_id == "b"
    assert view.build.requested == ("raw/1",)
    assert view.build.status not in {"COMPLETED", "FAILED"}
    gate.open()
    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_COMPLETED


async def test_a_build_writes_the_events_that_run_build_writes(world):
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


async def test_without_partitions_the_default_ones_are_built(world):
    view = await world.builds.submit(Submission())

    assert view.build.requested == ("raw/1",)


async def test_ranges_are_expanded(world):
    view = await world.builds.submit(submission("day/d=2020-01-01..2020-01-03".replace("d=", "")))

    assert view.build.requested == ("day/2020-01-01", "day/2020-01-02", "day/2020-01-03")


@pytest.mark.parametrize("at", ["running", "ended"])
async def test_the_same_request_with_the_same_id_starts_nothing_new(world, at):
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
async def test_another_request_with_the_same_id_is_an_error(world, at, ref, options, difference):
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    if at == "ended":
        gate.open()
        await world.ended("b")

    with pytest.raises(BuildConflictError) as raised:
        await world.builds.submit(submission(ref, build_request_id="b", **options))

    assert raised.value.difference == difference


async def test_a_request_that_is_made_twice_at_once_starts_one_build(world):
    request = submission("raw/1", build_request_id="b")

    views = await asyncio.gather(*(world.builds.submit(request) for _ in range(5)))

    await world.ended("b")
    assert {view.build.build_request_id for view in views} == {"b"}
    assert world.executor.made == ["raw/1"]


async def test_an_id_that_another_process_used_meanwhile_is_told_apart(make, tmp_path):
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
async def test_a_request_that_makes_no_sense_starts_nothing(make, request_, error):
    world = make(max_partitions=100)

    with pytest.raises(error):
        await world.builds.submit(request_)

    assert (await world.builds.list_builds()).builds == ()


async def test_a_caller_that_goes_away_does_not_take_the_build_with_it(world):
    gate = world.executor.gate("raw/1")
    asking = asyncio.create_task(world.builds.submit(submission("raw/1", build_request_id="b")))
    while world.service.running.get("b") is None:
        await asyncio.sleep(0)

    asking.cancel()
    await gate.reached.wait()
    gate.open()

    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_COMPLETED


async def test_builds_beyond_the_limit_wait_visibly(make):
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


async def test_submitters_take_turns(make):
    world = make(max_builds=1)
    gate = world.executor.gate("raw/0")
    await world.builds.submit(submission("raw/0", build_request_id="b0"), submitter="many")
    for number in (1, 2, 3):
        await world.builds.submit(submission(f"raw/{number}"), submitter="many")
    await world.builds.submit(submission("raw/one", build_request_id="last"), submitter="few")

    gate.open()
    await world.ended("last")

    assert world.executor.made.index("raw/one") <= 2


async def test_a_build_is_refused_where_too_many_wait(make):
    world = make(max_builds=1, max_queued_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1"))
    await world.builds.submit(submission("raw/2"))

    with pytest.raises(OverloadedError):
        await world.builds.submit(submission("raw/3"))

    gate.open()


async def test_a_build_that_waits_can_be_cancelled(make):
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


async def test_a_build_that_waits_is_cancelled_by_another_process(make, tmp_path):
    uri = f"sqlite:{tmp_path}/events.db"
    world, other = make(uri, max_builds=1), make(uri)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1"))
    await world.builds.submit(submission("raw/2", build_request_id="b"))

    await other.builds.cancel("b", "ann")

    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_CANCELLED
    gate.open()


async def test_a_build_that_runs_can_be_cancelled(world):
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await gate.reached.wait()

    view = await world.builds.cancel("b", "ann")

    assert view.build.cancel_requested_by == "ann"
    assert (await world.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_CANCELLED


async def test_a_build_that_has_ended_cannot_be_cancelled(world):
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await world.ended("b")

    with pytest.raises(BuildStateError):
        await world.builds.cancel("b", "ann")


async def test_a_retry_asks_for_the_same_and_repeats_nothing(world):
    world.executor.failing = {"clean/1"}
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    await world.ended("b")
    world.executor.failing = set()

    view = await world.builds.retry("b", Submission(build_request_id="again"))

    await world.ended("again")
    assert view.build.retry_of_build_request_id == "b"
    assert view.build.requested == ("clean/1",)
    assert world.executor.made == ["raw/1", "clean/1", "clean/1"]


async def test_a_retry_of_failed_jobs_asks_for_what_they_should_have_made(world):
    world.executor.failing = {"raw/1"}
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    await world.ended("b")

    view = await world.builds.retry("b", Submission(), failed_jobs_only=True)

    assert view.build.requested == ("raw/1",)


async def test_a_retry_is_idempotent_and_knows_what_it_retries(world):
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


async def test_a_build_that_runs_cannot_be_retried(world):
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))

    with pytest.raises(BuildStateError):
        await world.builds.retry("b", Submission())

    gate.open()


async def test_watching_resumes_after_a_sequence_number(world):
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    events = await world.ended("b")

    for after in (0, 1, len(events) - 1, len(events), len(events) + 5):
        resumed = [event.sequence async for events in world.builds.watch("b", after) for event in events]
        assert resumed == list(range(after + 1, len(events) + 1))


async def test_who_watches_from_beyond_the_end_on_sees_nothing_but_that_it_ended(make, tmp_path):
    uri = f"sqlite:{tmp_path}/events.db"
    world, other = make(uri), make(uri)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    watchers = [asyncio.create_task(collect(one.builds.watch("b", 1000))) for one in (world, other)]
    await gate.reached.wait()

    gate.open()

    assert await asyncio.gather(*watchers) == [[], []]


async def collect(watching):
    return [event async for events in watching for event in events]


async def test_many_watch_a_build_and_see_all_of_it(world):
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    watchers = [asyncio.create_task(world.ended("b")) for _ in range(50)]
    await gate.reached.wait()
    watchers += [asyncio.create_task(world.ended("b")) for _ in range(50)]

    gate.open()

    for events in await asyncio.gather(*watchers):
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert events[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    assert world.service.event_feeds.watchers == 0


async def test_a_build_whose_orchestrator_has_died_is_told_apart(make, tmp_path, monkeypatch):
    uri = f"sqlite:{tmp_path}/events.db"
    other, world = make(uri), make(uri)
    gate = other.executor.gate("raw/1")
    await other.builds.submit(submission("raw/1", build_request_id="b"))
    await gate.reached.wait()

    assert (await world.builds.get("b")).dead_reason == ""
    monkeypatch.setattr("databuild.event_log.liveness.is_gone", lambda _holder: True)
    assert (await world.builds.get("b")).dead_reason == "its orchestrator has died"
    assert [view.dead_reason for view in (await world.builds.list_builds()).builds] == ["its orchestrator has died"]
    assert (await other.builds.get("b")).dead_reason == "", "who runs it knows better"


async def test_what_another_process_builds_is_watched_too(make, tmp_path):
    uri = f"sqlite:{tmp_path}/events.db"
    world, other = make(uri), make(uri)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    watcher = asyncio.create_task(other.ended("b"))
    await gate.reached.wait()

    gate.open()

    events = await watcher
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def test_a_slow_watcher_is_served_from_the_log(world):
    await world.builds.submit(submission(*(f"raw/{number}" for number in range(400)), build_request_id="b", jobs=50))
    watching = world.builds.watch("b")
    first = await anext(watching)
    await world.ended("b")

    rest = [event.sequence async for events in watching for event in events]

    assert len(rest) > 1500
    assert [*(event.sequence for event in first), *rest] == list(range(1, len(first) + len(rest) + 1))


async def test_who_watches_a_build_that_is_not_there_is_told(world):
    with pytest.raises(BuildNotFoundError):
        await anext(world.builds.watch("nobody"))


async def test_builds_are_listed_by_key_and_status(world):
    for number in range(5):
        await world.builds.submit(submission("raw/1", build_request_id=f"b{number}"))
        await world.ended(f"b{number}")

    page = await world.builds.list_builds(limit=2)
    rest = await world.builds.list_builds(limit=10, before=page.next_before)

    assert [view.build.build_request_id for view in page.builds] == ["b4", "b3"]
    assert [view.build.build_request_id for view in rest.builds] == ["b2", "b1", "b0"]
    assert rest.next_before == ""
    assert (await world.builds.list_builds(status="FAILED")).builds == ()


async def test_draining_takes_no_new_builds_and_lets_the_others_end(make):
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


async def test_closing_cancels_what_runs(make, tmp_path):
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
    assert [build.failure.message for build in builds] == [said, said]


async def test_builds_that_are_left_have_no_end(make, tmp_path):
    world = make(f"sqlite:{tmp_path}/events.db", max_builds=1)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b1"))
    await world.builds.submit(submission("raw/2", build_request_id="b2"))
    await gate.reached.wait()

    await world.service.close(leave_builds=True)

    after = make(f"sqlite:{tmp_path}/events.db")
    assert [view.build.status for view in (await after.builds.list_builds()).builds] == ["RECEIVED", "EXECUTING"]


async def test_a_service_that_starts_ends_the_dead(make, tmp_path, monkeypatch):
    world = make(f"sqlite:{tmp_path}/events.db")
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    await gate.reached.wait()
    await world.service.close(leave_builds=True)
    after = make(f"sqlite:{tmp_path}/events.db")
    monkeypatch.setattr("databuild.event_log.liveness.is_gone", lambda _holder: True)

    assert await after.service.start() == ["b"]

    build = (await after.builds.get("b")).build
    assert (build.status, build.failure.category) == ("FAILED", "INFRASTRUCTURE")
    assert after.executor.ended == ["b"]


async def left_in_a_queue(make, tmp_path, monkeypatch, *submissions, **more):
    """Leaves builds in the queue of a service that dies, and returns what comes after it."""
    world = make(f"sqlite:{tmp_path}/events.db", max_builds=1)
    gate = world.executor.gate("raw/0")
    await world.builds.submit(submission("raw/0", build_request_id="running"), submitter="ann")
    await gate.reached.wait()
    for submitter, asked in submissions:
        await world.builds.submit(asked, submitter=submitter)
    await world.service.close(leave_builds=True)
    monkeypatch.setattr("databuild.event_log.liveness.is_gone", lambda _holder: True)
    return make(f"sqlite:{tmp_path}/events.db", max_builds=1, **more)


async def test_builds_that_waited_go_on_in_their_old_order_in_the_next_service(make, tmp_path, monkeypatch):
    after = await left_in_a_queue(
        make,
        tmp_path,
        monkeypatch,
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


async def test_a_build_that_went_on_has_the_events_of_any_other(make, tmp_path, monkeypatch):
    after = await left_in_a_queue(make, tmp_path, monkeypatch, ("ann", submission("clean/1", build_request_id="b")))
    await after.service.start()
    await after.ended("b")
    await after.builds.submit(submission("clean/2", build_request_id="c"))
    await after.ended("c")

    kinds = [[event.WhichOneof("event") for event in await after.builds.events(build)] for build in "bc"]
    assert kinds[0] == kinds[1]


async def test_a_plan_is_not_recorded_so_that_its_build_cannot_go_on(make, tmp_path, monkeypatch):
    plan = await make().service.partitions.plan(("raw/1",))
    after = await left_in_a_queue(make, tmp_path, monkeypatch, ("ann", Submission(plan=plan, build_request_id="b")))

    assert await after.service.start() == ["b", "running"]

    assert (await after.builds.get("b")).build.status == "FAILED"


async def test_a_build_that_is_left_can_be_cancelled_and_not_retried(make, tmp_path, monkeypatch):
    after = await left_in_a_queue(make, tmp_path, monkeypatch, ("ann", submission("raw/1", build_request_id="b")))
    with pytest.raises(BuildStateError):
        await after.builds.retry("b", Submission())
    await after.builds.cancel("b", "bob")

    assert await after.service.start() == ["b", "running"]

    build = (await after.builds.get("b")).build
    assert (build.status, build.failure.message) == ("CANCELLED", "the build was cancelled by bob")
    assert after.executor.made == []


async def test_no_other_build_and_no_service_of_another_graph_ends_what_is_left(make, tmp_path, monkeypatch):
    after = await left_in_a_queue(make, tmp_path, monkeypatch, ("ann", submission("raw/1", build_request_id="b")))
    await run_build(
        BuildRequest(build_request_id="c", requested=("raw/2",)),
        BuildContext(
            catalog=after.service.catalog, event_log=after.log, executor=after.executor, settings=after.settings
        ),
    )
    other = make(
        f"sqlite:{tmp_path}/events.db", catalog=dataclasses.replace(after.service.catalog, graph_label="//:other")
    )
    await other.service.start()

    assert (await after.builds.get("running")).build.status == "FAILED"
    assert (await after.builds.get("b")).build.status == "RECEIVED"


async def test_of_two_services_one_goes_on(make, tmp_path, monkeypatch):
    one = await left_in_a_queue(make, tmp_path, monkeypatch, ("ann", submission("raw/1", build_request_id="b")))
    other = make(f"sqlite:{tmp_path}/events.db")
    names = iter(("one/1/1", "other/1/1"))
    monkeypatch.setattr("databuild.event_log.liveness.this_process", lambda: next(names))
    left = [
        await world.service._readers.read(lambda reader: find_abandoned_builds(reader, "//:g"))
        for world in (one, other)
    ]

    for world, ((build,),) in zip((one, other), ((left[0],), (left[1],)), strict=True):
        assert world.service.running.resume(*build)

    assert (await one.ended("b"))[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    while one.service.running.get("b") or other.service.running.get("b"):
        await asyncio.sleep(0.01)
    assert one.executor.made + other.executor.made == ["raw/1"]


async def test_a_service_that_was_taken_for_dead_lets_go_of_what_waited(make, tmp_path, monkeypatch):
    paused = make(f"sqlite:{tmp_path}/events.db", max_builds=1)
    gate = paused.executor.gate("raw/0")
    await paused.builds.submit(submission("raw/0"))
    await gate.reached.wait()
    await paused.builds.submit(submission("raw/1", build_request_id="b"), submitter="ann")
    other = make(f"sqlite:{tmp_path}/events.db")
    monkeypatch.setattr("databuild.event_log.liveness.this_process", lambda: "other/1/1")
    monkeypatch.setattr("databuild.event_log.liveness.is_gone", lambda holder: holder != "other/1/1")
    ((build,),) = [await other.service._readers.read(lambda reader: find_abandoned_builds(reader, "//:g"))]
    other.service.running.resume(*build)
    await other.ended("b")

    gate.open()

    while paused.service.running.get("b"):
        await asyncio.sleep(0.01)
    assert "raw/1" not in paused.executor.made
    assert other.executor.made == ["raw/1"]


async def test_who_watches_is_let_go_when_the_service_ends(make):
    world = make()
    world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    watcher = asyncio.create_task(world.ended("b"))
    await asyncio.sleep(0.05)

    await world.service.close()

    assert [event.sequence for event in await watcher][:1] == [1]


async def test_how_far_planning_is_is_told_while_it_goes_on(world):
    world.executor.hangs = True
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    while (view := await world.builds.get("b")).planning is None or not view.planning.configuring_jobs:
        await asyncio.sleep(0.01)

    assert view.build.status == "PLANNING"
    assert view.planning == (1, 1, 1, ("//:clean",))
    assert build_from_message(build_to_message(view)) == view
    await world.builds.cancel("b", "ann")
    await world.ended("b")
    assert (await world.builds.get("b")).planning is None


async def test_warnings_are_told_while_a_build_runs_and_after_its_end(world):
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
