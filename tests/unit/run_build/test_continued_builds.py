"""Builds on an engine that another process continues, and other builds that they share partitions with."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from pathlib import Path

import pytest

from databuild.errors import EventLogError
from databuild.orchestration.build.begun_build import read_begun_build
from databuild.orchestration.build.continued_builds import ContinuedBuilds
from databuild.orchestration.coordination.versions import Versions
from databuild.v1 import events_pb2 as ev
from tests.support.engine_world import Process, World
from tests.support.forwarding_log import ForwardingLog
from tests.support.waiting import turns_until


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_continued_build_knows_what_it_took_from_other_builds(world: World) -> None:
    zero, one = Process(world, "zero"), Process(world, "one")
    first = zero.start("a", "raw/1")
    await world.engine.reached("a.1.1")
    running = one.start("b", "clean/1")
    await turns_until(lambda: any(event.HasField("delegation") for event in world.events("b")))
    world.engine.end("a.1.1")
    await first
    await world.engine.reached("b.2.1")
    await one.die(running)

    begun = read_begun_build(
        world.log.reader(), "b", "one", catalog=world.catalog, engines=Process(world, "two").context.engines
    )
    assert begun is not None
    assert (begun.available, begun.progress.done) == (frozenset({"raw/1"}), frozenset({1}))
    versions = Versions(world.log.reader())
    versions.resume(begun.plan, begun.available)
    assert versions.now == {"raw/1": "a.1.1"}


async def test_data_that_another_build_claims_keeps_its_version_in_a_continued_build(world: World) -> None:
    one, two = Process(world, "one"), Process(world, "two")
    running = one.start("b", "clean/1")
    await world.engine.reached("b.1.1")
    world.engine.end("b.1.1")
    await world.engine.reached("b.2.1")
    await one.die(running)
    other = two.start("c", "raw/1", force=True)
    await world.engine.reached("c.1.1")
    reader = world.log.reader()
    assert not reader.partition_records(["raw/1"])["raw/1"].available

    begun = read_begun_build(reader, "b", "one", catalog=world.catalog, engines=two.context.engines)
    assert begun is not None
    versions = Versions(reader)
    versions.resume(begun.plan, begun.available)
    assert versions.now == {"raw/1": "b.1.1"}
    await two.die(other)


async def test_a_continued_build_makes_what_it_waited_for_if_the_other_build_fails(world: World) -> None:
    zero, one = Process(world, "zero"), Process(world, "one")
    first = zero.start("a", "raw/1")
    await world.engine.reached("a.1.1")
    running = one.start("b", "clean/1", "raw/2")
    await world.engine.reached("b.3.1")
    await turns_until(lambda: any(event.HasField("delegation") for event in world.events("b")))
    await one.die(running)
    world.engine.end("a.1.1", exit_code=1)
    await first
    world.succeed(raw=2, clean=1)
    world.engine.end("b.3.1")

    await Process(world, "two").build("c", "raw/7")

    assert world.story("b.1.1")[-1] == world.story("b.2.1")[-1] == "COMPLETED"
    assert world.events("b")[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
    assert world.verified()


async def test_a_task_that_is_not_needed_is_recorded_in_one_append(world: World) -> None:
    appended: list[list[str | None]] = []

    class Recording(ForwardingLog):
        def append(self, events: Sequence[ev.BuildEvent]) -> Awaitable[None]:
            appended.append([event.WhichOneof("event") for event in events])
            return super().append(events)

    one = Process(world, "one")
    one.context = one.context._replace(event_log=Recording(world.log))
    running = one.start("b", "raw/1", "raw/2", jobs=1)
    await world.engine.reached("b.1.1")
    world.succeed(raw=1)
    await Process(world, "two").build("a", "raw/2")
    world.engine.end("b.1.1")
    await running

    assert ["job", "delegation", "partition"] in appended


async def test_a_build_that_cannot_be_continued_is_ended_after_several_attempts(world: World) -> None:
    class Broken(ForwardingLog):
        def append(self, events: Sequence[ev.BuildEvent]) -> Awaitable[None]:
            raise EventLogError("it is broken")

    one = Process(world, "one")
    running = one.start("b", "raw/1")
    await world.engine.reached("b.1.1")
    await one.die(running)
    world.engine.end("b.1.1")
    context = Process(world, "two").context._replace(event_log=Broken(world.log))
    continued = ContinuedBuilds(context, announce=lambda _: None)

    answers = []
    for _ in range(4):
        answers.append(continued("b", "one"))
        await continued.wait()

    assert answers == [True, True, True, False]
