"""A request to prune covers a bounded amount of work, and a verification outlives the request that started it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from databuild.errors import BuildNotFoundError, InvalidRequestError, OverloadedError, ShuttingDownError
from databuild.model.pruning import PruneOptions
from databuild.orchestration.logs.log_folders import LocalLogFolders
from databuild.service.builds.requests import Submission
from databuild.service.graph.maintenance import MAX_VERIFICATIONS, Maintenance
from databuild.service.resources.reader_pool import ReaderPool
from tests.support.present import present
from tests.support.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    for number in range(3):
        await world.builds.submit(Submission(build_request_id=f"b{number}", partitions=(f"raw/{number}",)))
        await world.ended(f"b{number}")
    yield world
    await world.close()


@pytest.fixture
def impatient(world: World, tmp_path: Path) -> Iterator[Maintenance]:
    """Maintenance without pauses."""
    with closing(ReaderPool(world.log.reader)) as readers:
        yield Maintenance(world.log, [LocalLogFolders(str(tmp_path))], readers, max_seconds=0.0)


async def test_a_dry_run_lists_everything_and_changes_nothing(world: World) -> None:
    pruned = await world.service.maintenance.prune(PruneOptions(keep=1), dry_run=True)

    assert [build.build_request_id for build in pruned.builds] == ["b1", "b0"]
    assert (pruned.events, pruned.more) == (sum(build.events for build in pruned.builds), False)
    assert len(await world.builds.events("b0")) > 0


async def test_a_request_stops_in_time_and_the_next_continues(world: World, impatient: Maintenance) -> None:
    options = PruneOptions(keep=1)

    first = await impatient.prune(options, dry_run=False)
    second = await impatient.prune(options, dry_run=False)
    rest = await world.service.maintenance.prune(options, dry_run=False)

    assert ([build.build_request_id for build in first.builds], first.more) == (["b1", "b0"], True)
    assert (second.builds, second.more) == ((), True)
    assert (rest.builds, rest.more) == ((), False)
    assert await world.builds.events("b0") == []


async def test_a_verification_is_asked_for_until_it_has_a_result(world: World, impatient: Maintenance) -> None:
    verification, result = await impatient.verify("", ["b1"])
    while result is None:
        verification, result = await impatient.verify(verification, [])

    assert (result.builds, result.faults, result.reported) == (1, 0, ())
    assert present((await world.service.maintenance.verify("", []))[1]).builds == 3


async def test_unknown_builds_and_verifications_are_refused(world: World) -> None:
    with pytest.raises(BuildNotFoundError):
        await world.service.maintenance.verify("", ["nothing"])
    with pytest.raises(InvalidRequestError, match="there is no verification 'nothing'"):
        await world.service.maintenance.verify("nothing", [])


async def test_verifications_are_bounded_and_those_that_ended_make_room(world: World, impatient: Maintenance) -> None:
    async with impatient._verifying:  # they run one after another, and none can end meanwhile
        ids = [(await impatient.verify("", []))[0] for _ in range(MAX_VERIFICATIONS)]

        with pytest.raises(OverloadedError):
            await impatient.verify("", [])

    for verification in ids:
        await asyncio.wait({impatient._runs[verification].task})
    newest, _ = await impatient.verify("", [])
    await asyncio.wait({impatient._runs[newest].task})
    assert present((await impatient.verify(ids[-1], []))[1]).faults == 0
    with pytest.raises(InvalidRequestError):
        await impatient.verify(ids[0], [])


async def test_nothing_begins_once_the_service_ends(world: World, impatient: Maintenance) -> None:
    await impatient.close()

    with pytest.raises(ShuttingDownError):
        await impatient.prune(PruneOptions(keep=0), dry_run=False)
    with pytest.raises(ShuttingDownError):
        await impatient.verify("", [])
