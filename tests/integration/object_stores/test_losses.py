"""The outcome of data that is removed or changed at any time, in a folder and in a bucket of S3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from databuild.event_log.verify import verify
from databuild.executors.executor import ProcessResult
from databuild.model.results import Success
from databuild.model.store_check import StoreCheckOptions
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import verify_part
from databuild.storage.storages import Storages
from databuild.v1 import events_pb2 as ev
from tests.support.build_world import DONE, RAW, Report, World
from tests.support.derived_data import DerivedData, Place

BEFORE_PLANNING = "before planning"
BEFORE_THE_START = "between planning and the start"
BEFORE_READING = "while the task runs, before it reads"
AFTER_READING = "while the task runs, after it has read"
AFTER_THE_BUILD = "after the build"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.log.close()


class AtExecution:
    """Calls a function once when the plan of a build is in the log and nothing has run yet."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def notify(self, events: Sequence[ev.BuildEvent]) -> None:
        act = self._act
        if act is not None and any(event.build_request.status == ev.BUILD_STATUS_EXECUTING for event in events):
            self._act = None
            act()

    def close(self) -> None:
        pass


async def check(world: World, storages: Storages, changed: str = "report") -> dict[str, str]:
    """Verifies everything, and returns the kind of each finding by ref."""
    options = StoreCheckOptions(changed=changed)
    reader = world.log.reader()
    part = verify_part(reader, Selection((), tuple), options, author="ann", storages=lambda: storages)
    for event in part.events:
        await world.log.append([event])
    return {finding.ref: finding.kind for finding in part.check.findings}


class Case(NamedTuple):
    """Data that is removed or changed at some time, and the outcome.

    Attributes:
        when: When it happens.
        ref: The partition.
        changed: False if its data is removed, and True if other data replaces it.
        made: The partitions that the build of `clean/1` makes; `raw/1` is there before.
        found: The findings of a verification after it.
        made_next: The partitions that the next build makes, after a verification with `--changed=rebuild`.
        looks_again: True to look for inputs again right before the start of each task.
    """

    when: str
    ref: str
    changed: bool
    made: Sequence[str]
    found: dict[str, str]
    made_next: Sequence[str]
    looks_again: bool = False


BOTH = ("raw/1", "clean/1")
LOST, CHANGED = {"raw/1": "missing"}, {"raw/1": "changed"}
CASES = (
    Case(BEFORE_PLANNING, "raw/1", False, BOTH, {}, ()),
    Case(BEFORE_THE_START, "raw/1", False, BOTH, {}, ()),
    Case(BEFORE_THE_START, "raw/1", False, BOTH, {}, (), looks_again=True),
    Case(BEFORE_READING, "raw/1", False, BOTH, {}, ()),
    Case(AFTER_READING, "raw/1", False, ("clean/1",), LOST, ("raw/1",)),
    Case(AFTER_THE_BUILD, "raw/1", False, ("clean/1",), LOST, ("raw/1",)),
    Case(AFTER_READING, "clean/1", False, ("clean/1",), {"clean/1": "missing"}, ("clean/1",)),
    Case(AFTER_THE_BUILD, "clean/1", False, ("clean/1",), {"clean/1": "missing"}, ("clean/1",)),
    Case(BEFORE_PLANNING, "raw/1", True, ("clean/1",), CHANGED, BOTH),
    Case(BEFORE_THE_START, "raw/1", True, ("clean/1",), CHANGED, BOTH),
    Case(BEFORE_THE_START, "raw/1", True, ("clean/1",), CHANGED, BOTH, looks_again=True),
    Case(BEFORE_READING, "raw/1", True, ("clean/1",), CHANGED, BOTH),
    Case(AFTER_READING, "raw/1", True, ("clean/1",), CHANGED, BOTH),
    Case(AFTER_THE_BUILD, "raw/1", True, ("clean/1",), CHANGED, ("raw/1",)),
    Case(AFTER_THE_BUILD, "clean/1", True, ("clean/1",), {"clean/1": "changed"}, ("clean/1",)),
)


@pytest.mark.parametrize(
    "case",
    CASES,
    ids=lambda case: f"{case.ref} {'changed' if case.changed else 'removed'} {case.when} {case.looks_again}",
)
async def test_data_that_is_removed_or_changed_has_an_outcome(
    world: World, place: Place, storages: Storages, case: Case
) -> None:
    if case.looks_again:
        world.settings = world.settings._replace(input_check_seconds=0.0)
    data = DerivedData(world, place, reports=not case.looks_again)
    await world.build("b1", "raw/1")
    data.made.clear()

    def happen() -> None:
        if case.changed:
            place.write(case.ref, "written by hand")
        else:
            place.remove(case.ref)

    if case.when == BEFORE_PLANNING:
        happen()
    elif case.when == BEFORE_THE_START:
        world.log.observe(AtExecution(happen))
    elif case.when == BEFORE_READING:
        data.before["clean/1"] = happen
    elif case.when == AFTER_READING:
        data.after["clean/1"] = happen
    assert isinstance(await world.build("b2", "clean/1"), Success)
    if case.when == AFTER_THE_BUILD:
        happen()

    assert tuple(data.made) == tuple(case.made)
    assert await check(world, storages, "rebuild") == case.found
    data.made.clear()
    assert isinstance(await world.build("b3", "clean/1", "raw/1", verify="all"), Success)
    assert tuple(data.made) == tuple(case.made_next)
    assert await check(world, storages) == {}
    assert verify(world.log.reader()).reported == ()


async def test_changed_data_that_is_adopted_makes_what_depends_on_it_stale(
    world: World, place: Place, storages: Storages
) -> None:
    data = DerivedData(world, place)
    await world.build("b1", "clean/1")
    place.write("raw/1", "written by hand")
    assert await check(world, storages, "adopt") == CHANGED
    data.made.clear()
    assert isinstance(await world.build("b2", "clean/1"), Success)

    assert data.made == ["clean/1"]
    assert place.read("clean/1") == "clean/1 of (written by hand)"
    assert await check(world, storages) == {}


async def test_data_of_the_running_build_that_is_lost_is_made_again(world: World, place: Place) -> None:
    data = DerivedData(world, place)
    data.before["clean/1"] = lambda: place.remove("raw/1")

    assert await world.build("b1", "clean/1") == Success(jobs_completed=3)
    assert data.made == ["raw/1", "raw/1", "clean/1"]


async def test_a_bucket_that_is_away_is_no_loss(world: World, storages: Storages) -> None:
    away = {"uri": "s3://away/raw/1", "size_bytes": 4, "version": "etag"}

    def run(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1", "location": away}})
        return DONE

    world.catalog = world.catalog._replace(extensions={"s3": ()})
    world.executor.runs[RAW] = run
    await world.build("b1", "raw/1")

    assert await check(world, storages) == {"raw/1": "unreadable"}
    assert await world.build("b2", "raw/1", verify="all") == Success()
    assert world.records("raw/1")["raw/1"].available
