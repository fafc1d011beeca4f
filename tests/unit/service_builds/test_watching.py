"""Builds are watched without gaps or duplicates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from databuild.errors import (
    BuildNotFoundError,
)
from databuild.v1 import events_pb2 as ev
from databuild.v1.events_pb2 import BuildEvent
from tests.support.waiting import turns_until
from tests.support.world import MakeWorld, World, submission


async def test_watching_resumes_after_a_sequence_number(world: World) -> None:
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    events = await world.ended("b")

    for after in (0, 1, len(events) - 1, len(events), len(events) + 5):
        resumed = [event.sequence async for events in world.builds.watch("b", after) for event in events]
        assert resumed == list(range(after + 1, len(events) + 1))


async def test_a_watcher_from_beyond_the_end_sees_only_that_it_ended(make: MakeWorld, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    world, other = make(uri), make(uri)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    watchers = [asyncio.create_task(collect(one.builds.watch("b", 1000))) for one in (world, other)]
    await gate.reached.wait()

    gate.open()

    assert await asyncio.gather(*watchers) == [[], []]


async def test_a_build_exists_from_its_first_event_on(world: World) -> None:
    gate = world.executor.gate("raw/1")
    with pytest.raises(BuildNotFoundError):
        await world.builds.check_exists("b1")
    await world.builds.submit(submission("raw/1", build_request_id="b1"))
    for selector in ("b1", "b", "latest"):
        await world.builds.check_exists(selector)
    gate.open()
    await world.ended("b1")

    await world.builds.check_exists("b1")


async def collect(watching: AsyncIterator[Sequence[BuildEvent]]) -> list[BuildEvent]:
    return [event async for events in watching for event in events]


async def test_many_watch_a_build_and_see_all_of_it(world: World) -> None:
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


async def test_a_build_whose_orchestrator_has_died_is_told_apart(make: MakeWorld, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    other, world = make(uri, process="other"), make(uri)
    gate = other.executor.gate("raw/1")
    await other.builds.submit(submission("raw/1", build_request_id="b"))
    await gate.reached.wait()

    assert (await world.builds.get("b")).dead_reason == ""
    world.liveness.gone.add("other")
    other.liveness.gone.add("other")
    assert (await world.builds.get("b")).dead_reason == "its orchestrator has died"
    assert [view.dead_reason for view in (await world.builds.list_builds()).builds] == ["its orchestrator has died"]
    assert (await other.builds.get("b")).dead_reason == "", "who runs it knows better"


async def test_builds_of_another_process_are_watched_too(make: MakeWorld, tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    world, other = make(uri), make(uri)
    gate = world.executor.gate("raw/1")
    await world.builds.submit(submission("clean/1", build_request_id="b"))
    watcher = asyncio.create_task(other.ended("b"))
    await gate.reached.wait()

    gate.open()

    events = await watcher
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def test_a_slow_watcher_is_served_from_the_log(world: World) -> None:
    await world.builds.submit(submission(*(f"raw/{number}" for number in range(400)), build_request_id="b", jobs=50))
    watching = world.builds.watch("b")
    first = await anext(watching)
    await world.ended("b")

    rest = [event.sequence async for events in watching for event in events]

    assert len(rest) > 1500
    assert [*(event.sequence for event in first), *rest] == list(range(1, len(first) + len(rest) + 1))


async def test_watching_a_build_that_does_not_exist_is_an_error(world: World) -> None:
    with pytest.raises(BuildNotFoundError):
        await anext(world.builds.watch("nobody"))


async def test_watchers_are_released_when_the_service_ends(make: MakeWorld) -> None:
    world = make()
    world.executor.gate("raw/1")
    await world.builds.submit(submission("raw/1", build_request_id="b"))
    seen: list[int] = []

    async def watch() -> None:
        async for events in world.builds.watch("b"):
            seen.extend(event.sequence for event in events)

    watcher = asyncio.create_task(watch())
    await turns_until(lambda: seen)

    await world.service.close()
    await watcher

    assert seen[0] == 1
