"""Two services over one event log on PostgreSQL, as on two machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databuild.service.builds.requests import Submission
from tests.postgresql.server import Server
from tests.support.present import present
from tests.support.world import World


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
async def worlds(server: Server, tmp_path: Path) -> AsyncIterator[list[World]]:
    uri = server.new_database()
    worlds = [World(tmp_path / str(number), uri, max_builds=2) for number in (1, 2)]
    yield worlds
    for world in worlds:
        await world.close()


async def test_one_service_shows_and_cancels_builds_of_the_other(worlds: list[World]) -> None:
    one, other = worlds
    builds = [f"b{number:02}" for number in range(20)]
    submissions = [Submission(build_request_id=build, partitions=(f"clean/{build}",)) for build in builds]
    await asyncio.gather(*(one.builds.submit(submission) for submission in submissions))

    watched = await asyncio.gather(*(other.ended(build) for build in builds))

    for events in watched:
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    page = await other.builds.list_builds(limit=5, status="COMPLETED")
    reader = one.log.reader()
    newest_first = sorted(builds, key=lambda build: present(reader.first_position(build)), reverse=True)
    assert [view.build.build_request_id for view in page.builds] == newest_first[:5]
    assert {job.job_label: job.completed for job in await other.service.jobs.list_jobs()}["//:raw"] == 20
    gate = one.executor.gate("raw/x")
    await one.builds.submit(Submission(build_request_id="x", partitions=("raw/x",)))
    await gate.reached.wait()
    await other.builds.cancel("x", "ann")
    assert (await other.ended("x"))[-1].build_request.failure.message == "the build was cancelled by ann"


async def test_the_same_id_given_to_both_is_one_build(worlds: list[World]) -> None:
    submission = Submission(build_request_id="b", partitions=("raw/1",))

    views = await asyncio.gather(*(world.builds.submit(submission) for world in worlds))

    assert {view.build.build_request_id for view in views} == {"b"}
    await worlds[0].ended("b")
    assert sum(len(world.executor.made) for world in worlds) == 1


async def test_more_partitions_than_one_event_has_are_tainted(worlds: list[World]) -> None:
    partitions = worlds[0].service.partitions
    refs = tuple(f"raw/{number}" for number in range(25_000))
    await worlds[0].service.adoptions.adopt(refs, author="ann", reason="there")

    await partitions.taint(refs, tainted=True, author="ann", reason="wrong")

    assert await partitions.counts() == {"AVAILABLE": 25_000, "TAINTED": 25_000}
