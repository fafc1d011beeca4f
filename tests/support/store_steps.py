"""Steps of builds, of people and of stores over one event log, each compared with a model that knows the true store."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from databuild.event_log.verify import verify
from databuild.model.adoption_events import adoption_event
from databuild.model.build_options import BuildOptions
from databuild.model.records import PartitionRecord
from databuild.model.results import Success
from databuild.model.store_check import StoreCheckOptions
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import verify_part
from databuild.storage.storages import Storages
from tests.support.build_world import World
from tests.support.derived_data import INPUTS, DerivedData, Place
from tests.support.store_model import AVAILABLE, StoreModel

ACTIONS: Sequence[str] = (
    "build",
    "build",
    "build",
    "lose",
    "change",
    "change",
    "verify",
    "verify and rebuild",
    "verify and adopt",
    "adopt",
    "forget",
    "delete",
)
"""The actions; those which are more probable come more than once."""

REFS: Sequence[str] = tuple(INPUTS)

MADE_FROM_CHANGED: Sequence[Sequence[tuple[str, str]]] = tuple(
    [("build", "raw/1"), ("change", "raw/1"), ("build", "clean/1"), *then]
    for then in (
        [],
        [("build", "clean/1")],
        [("lose", "raw/1"), ("build", "raw/1")],
        [("change", "raw/1"), ("build", "clean/2"), ("build", "clean/1")],
        [("verify and rebuild", "")],
    )
)
"""Steps in which data is made from an input that somebody has changed."""


class Steps:
    """The steps. The files and objects are those of a place that no other world uses.

    Args:
        world: An empty world.
        place: The place of the data.
        storages: The stores of objects.
    """

    def __init__(self, world: World, place: Place, storages: Storages) -> None:
        self._world = world
        self._storages = storages
        self._data = DerivedData(world, place)
        self._model = StoreModel(self._data)
        self._numbers = itertools.count()
        self._adopted = False

    async def run(self, steps: Sequence[tuple[str, str]]) -> None:
        """Does steps, each an action and a ref, then verifies and builds everything; checks each against the model."""
        for action, ref in steps:
            await self._do(action, ref)
            self._check_records()
        await self._verify("rebuild")
        await self._build(*REFS)
        self._check_records()
        await self._check_end()

    async def _do(self, action: str, ref: str) -> None:
        place = self._data.place
        if action == "build":
            await self._build(ref)
        elif action == "lose":
            place.remove(ref)
        elif action == "change":
            place.write(ref, "changed" + "x" * next(self._numbers))
        elif action.startswith("verify"):
            await self._verify(action.removeprefix("verify and ") if " " in action else "report")
        elif action == "adopt":
            await self._adopt(ref)
        elif action == "forget":
            await self._forget(ref)
        else:
            await self._delete(ref)

    async def _build(self, *refs: str) -> None:
        """Builds partitions with a look at all data. The model replays what the jobs have made."""
        self._data.made.clear()
        execute = self._model.plan(refs)
        result = await self._run_build(*refs)
        made = list(self._data.made)
        replayed = []
        for one in execute():
            replayed.append(one)
            if one in made:
                self._model.made(one)
        assert isinstance(result, Success), result
        assert sorted(made) == sorted(replayed)

    async def _run_build(self, *refs: str) -> object:
        world = self._world
        return await run_build(
            BuildRequest(
                build_request_id=f"b{next(self._numbers)}",
                requested=refs,
                options=BuildOptions(verify="all", jobs=1),
            ),
            BuildContext(catalog=world.catalog, event_log=world.log, executor=world.executor, settings=world.settings),
        )

    async def _verify(self, changed: str) -> None:
        part = verify_part(
            self._world.log.reader(),
            Selection((), tuple),
            StoreCheckOptions(changed=changed),
            author="ann",
            storages=lambda: self._storages,
        )
        for event in part.events:
            await self._world.log.append([event])
        assert {finding.ref: finding.kind for finding in part.check.findings} == self._model.findings()
        adopted = {record.ref: record.version for event in part.events for record in event.adoption.records}
        self._model.record_findings(changed, adopted)
        self._adopted = self._adopted or bool(adopted)

    async def _adopt(self, ref: str) -> None:
        location = self._data.place.location(ref)
        if location is None:
            return
        self._adopted = True
        version = f"adopted {next(self._numbers)}"
        record = PartitionRecord(ref, AVAILABLE, "", 0.0, True, version, location=location)
        event = adoption_event(
            [ref],
            operation_id=f"a{next(self._numbers)}",
            author="ann",
            reason="mine",
            time=1.0,
            force=True,
            records=[record],
        )
        await self._world.log.append([event])
        self._model.adopt(ref, version)

    async def _forget(self, ref: str) -> None:
        forgotten = await self._removals().forget(Selection([ref], tuple), author="ann", reason="wrong")
        assert forgotten.partitions == ((ref,) if self._model.forget(ref) else ())

    async def _delete(self, ref: str) -> None:
        others = {one: self._data.place.location(one) for one in REFS if one != ref}
        fault = self._model.delete(ref)
        there = self._data.place.location(ref)
        done = await self._removals().delete_part(Selection([ref], tuple), author="ann", reason="old")
        if fault is None:
            assert done.data == ()
        elif fault:
            assert [fault in one.fault for one in done.data] == [True]
        else:
            assert [one.fault for one in done.data] == [""]
        assert self._data.place.location(ref) == (None if fault == "" else there)
        assert {one: self._data.place.location(one) for one in others} == others

    def _removals(self) -> Removals:
        world = self._world
        return Removals(world.log, world.executor, self._storages, produced=world.catalog.may_produce)

    def _check_records(self) -> None:
        found = self._world.log.reader().partition_records(REFS)
        assert {
            ref: (one.status, one.available, one.version, one.location, one.tainted and one.available)
            for ref, one in found.items()
        } == {
            ref: (one.status, one.status == AVAILABLE, one.version, one.location, one.tainted)
            for ref, one in self._model.records.items()
        }

    async def _check_end(self) -> None:
        """Checks that everything is there, fresh and right, and that another build has nothing to do."""
        self._data.made.clear()
        assert isinstance(await self._run_build(*REFS), Success)
        assert self._data.made == []
        assert all(self._data.place.location(ref) is not None for ref in REFS)
        if not self._adopted:
            contents = {ref: self._data.place.read(ref) for ref in REFS}
            assert contents == {ref: self._data.text(ref) for ref in REFS}
        assert verify(self._world.log.reader()).reported == ()
