"""The data that a build or a plan uses as it is: checks whether it is still in its store.

After a plan, all of it is looked for at once. A task that starts much later has its inputs looked for again, and all
inputs are looked at again at the end of the build. Data that has changed is used as it is, see the module `unrecorded`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from databuild.errors import StorageError
from databuild.event_log.reads import StoredDataReads
from databuild.model.job_graph import Plan, Task
from databuild.model.pacing import slices
from databuild.model.records import Location, StoredData
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.graph.ports import PartitionRecords
    from databuild.model.store_check import StoreFinding
    from databuild.orchestration.stores.job_look import Check, JobLook
    from databuild.orchestration.stores.look import Look
    from databuild.orchestration.stores.unrecorded import UnrecordedChange
    from databuild.storage.storages import Storages

_PAGE: Final = 5000
"""The number of partitions that are looked for at once. Reading their places blocks the event loop."""

_MAX_NAMED: Final = 3
"""The number of partitions that a warning names."""


class UsedData:
    """Looks for data of other builds. Implements `graph.ports.InputCheck` for the tasks of a plan.

    Attributes:
        changes: The changes of data that is used as it is, by ref.
    """

    def __init__(
        self,
        reader: StoredDataReads,
        policy: str,
        *,
        max_age_seconds: float,
        lost: Callable[[Mapping[str, str]], Awaitable[None]],
        extensions: Mapping[str, Sequence[str]] = MappingProxyType({}),
        jobs: tuple[JobLook, Check] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Looks at nothing yet.

        Args:
            reader: Reads the places of data.
            policy: The data to look for, one of `VERIFY_POLICIES`.
            max_age_seconds: The time after which the inputs of a task that is about to start are looked for again.
            lost: Records data that is missing: the versions, by ref.
            extensions: The extensions of the graph with their import paths, which serve object stores.
            jobs: Asks the jobs of the graph about data that DataBuild cannot check itself; None if no job can answer.
            clock: Returns a time in seconds that never goes back.
        """
        self._reader = reader
        self._policy = policy
        self._max_age = max_age_seconds
        self._lost = lost
        self._extensions = extensions
        self._storages: Storages | None = None
        self._jobs = jobs
        self._clock = clock
        self.changes: dict[str, UnrecordedChange] = {}
        self._seen: set[str] = set()
        self._unreadable: dict[str, StoreFinding] = {}
        self._changed: dict[str, StoreFinding] = {}
        self._changed_meanwhile: dict[str, StoreFinding] = {}
        # The places of changed data with the facts of the newest look, and with those of the look after the plan.
        self._found: dict[str, Location] = {}
        self._planned: dict[str, Location] = {}
        self._faults: dict[str, None] = {}
        # The inputs of tasks with a known place, and the time of the last look at each.
        self._inputs: dict[str, StoredData] = {}
        self._looked: dict[str, float] = {}
        self._pending: dict[str, StoredData] = {}
        self._looking: asyncio.Future[Mapping[str, str]] | None = None

    async def plan(self, make: Callable[[], Awaitable[Plan]]) -> Plan:
        """Makes a plan, and makes it again as long as data that it would use as it is turns out to be lost.

        Also makes it again if changed data turns up, and something seems stale that was made from it.

        Args:
            make: Makes the plan through `records`, which have the losses that were recorded before.

        Raises:
            EventLogError: The places cannot be read.
            StorageError: A whole folder with many partitions is gone, so that its disk may not be mounted, or a job
                finds none of its partitions.
        """
        plan = await make()
        while await self._look_at_data_of(plan):
            plan = await make()
        return plan

    def records(self, records: PartitionRecords) -> PartitionRecords:
        """Returns the records for a plan: what was made from changed data is fresh until that data changes again."""
        if not self.changes:
            return records
        from databuild.orchestration.stores.unrecorded import RecordsOfUsers

        return RecordsOfUsers(records, self.changes)

    async def changed_meanwhile(self) -> Sequence[str]:
        """Looks at the inputs of tasks again, at the end of a build.

        Returns:
            The inputs whose data has changed since the look before. If it is missing now, the tasks that ended did not
            miss it.
        """
        data = [one for one in self._inputs.values() if one.location is not None]
        for some in slices(data, _PAGE):
            planned = [one._replace(location=self._planned.get(one.ref, one.location)) for one in some]
            look = await asyncio.to_thread(self._look_at, planned)
            changed = self._changed_by_hand(some, look)
            self._changed_meanwhile.update((found.ref, found) for found in changed)
        return list(self._changed_meanwhile)

    def warnings(self) -> list[str]:
        """Returns the warnings so far: the reasons why jobs could not answer, and one about each kind of finding."""
        warnings = list(self._faults)
        if self._unreadable:
            fault = "cannot be looked at in its store, and is used unchecked"
            warnings.append(f"{_data_of(self._unreadable)} {fault}: {_list(self._unreadable)}")
        if self._changed:
            fault = "has changed in its store, and is used as it is until `partitions verify` records the change"
            warnings.append(f"{_data_of(self._changed)} {fault}: {_list(self._changed)}")
        if self._changed_meanwhile:
            fault = "changed in its store while the build ran, so that what was made from it is tainted"
            warnings.append(f"{_data_of(self._changed_meanwhile)} {fault}: {_list(self._changed_meanwhile)}")
        return warnings

    async def _look_at_data_of(self, plan: Plan) -> bool:
        """Looks for the data that a plan would use as it is, and records what is missing.

        Partitions that were looked for after an earlier plan are left out.

        Returns:
            True if another plan must be made.
        """
        if self._policy == "none":
            return False
        known = set(self.changes)
        unseen = [ref for ref in self._used_by(plan) if ref not in self._seen]
        self._seen.update(unseen)
        missing: dict[str, str] = {}
        for refs in slices(unseen, _PAGE):
            now = self._clock()
            data = self._with_place(self._reader.stored_data_of(refs))
            if data:
                missing.update(await self._look(data))
            for one in data:
                if one.ref in plan.versions:
                    self._inputs[one.ref] = one
                    self._looked[one.ref] = now
                    if one.ref in self._found:
                        self._planned[one.ref] = self._found[one.ref]
        if missing:
            await self._record(missing)
        else:  # of an earlier plan, some may be made by the build now
            self._inputs = {ref: one for ref, one in self._inputs.items() if ref in plan.versions}
        changed = self.changes.keys() - known
        return bool(missing) or (
            bool(changed)
            and any(one.reason == pt.REASON_INPUT_CHANGED and one.cause in changed for one in plan.partitions)
        )

    def _with_place(self, data: Sequence[StoredData]) -> Sequence[StoredData]:
        """Returns the data that may be looked for: with a location, or of a job that can answer."""
        answered: Collection[str] = ()
        if self._jobs is not None:
            answered = self._jobs[0].jobs_of([one.ref for one in data if one.location is None])
        return [one for one in data if one.location is not None or one.ref in answered]

    def is_due(self, task: Task) -> bool:
        return bool(self._inputs) and any(self._is_due(ref) for ref in task.config.materialize)

    async def missing(self, task: Task) -> Sequence[str]:
        due = [ref for ref in task.config.materialize if self._is_due(ref)]
        self._pending.update((ref, self._inputs[ref]) for ref in due)
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look_at_pending())
        found = await asyncio.shield(self._looking)
        missing = {ref: version for ref, version in found.items() if ref in due}
        # Another task may have missed it meanwhile, and has recorded it.
        if unrecorded := {ref: version for ref, version in missing.items() if ref in self._inputs}:
            await self._record(unrecorded)
        return list(missing)

    async def _look_at_pending(self) -> Mapping[str, str]:
        """Looks at once for the inputs of all tasks that become ready in the same step."""
        await asyncio.sleep(0)
        pending, self._pending, self._looking = self._pending, {}, None
        now = self._clock()
        missing = await self._look(list(pending.values()), fails=False)
        self._looked.update(dict.fromkeys(pending, now))
        self._changed_meanwhile.update(
            (ref, self._changed[ref])
            for ref in pending
            if ref in self._found and self._found[ref] != self._planned.get(ref)
        )
        return missing

    def _is_due(self, ref: str) -> bool:
        return ref in self._inputs and self._clock() - self._looked[ref] >= self._max_age

    async def _look(self, data: Sequence[StoredData], *, fails: bool = True) -> Mapping[str, str]:
        """Returns the versions of lost data.

        Args:
            data: The data.
            fails: True to raise a StorageError if a store is gone; False to take its data for unreadable.
        """
        look = await asyncio.to_thread(self._look_at, data)
        findings, fault = look.findings, ""
        if look.absent:
            from databuild.orchestration.stores.gone_folders import gone_folders, guarded

            findings, fault = guarded(findings, gone_folders(look.absent), self._reader)
        unreadable = [found for found in findings if found.kind == "unreadable"]
        if self._jobs is not None and look.others:
            job_look, check = self._jobs
            questions = job_look.questions([one for one, _ in look.others.values()])
            answers = await job_look.ask(questions, check)
            findings, fault = findings + answers.findings, fault or answers.gone
            self._faults.update(dict.fromkeys(answers.faults))
            # The fault of a whole call is a warning of its own.
            unreadable += [
                found for found in answers.findings if found.kind == "unreadable" and found.detail not in answers.faults
            ]
        if fault and fails:
            raise StorageError("the data of other builds", fault).with_remedy("CONFIRM_LOSSES")
        self._unreadable.update((found.ref, found) for found in unreadable)
        self._note_changes(data, look)
        lost = {found.ref for found in findings if found.kind == "missing"}
        return {one.ref: one.version for one in data if one.ref in lost}

    def _look_at(self, data: Sequence[StoredData]) -> Look:
        from databuild.orchestration.stores.look import Look  # most builds find no data with a place

        return Look(data, storages=self._object_storages)

    def _changed_by_hand(self, data: Sequence[StoredData], look: Look) -> Sequence[StoreFinding]:
        """Returns the findings about data that has changed, unless another build has made it again since the plan."""
        changed = {found.ref: found for found in look.findings if found.kind == "changed"}
        if not changed:
            return ()
        planned = {one.ref: one for one in data}
        now = self._reader.stored_data_of(list(changed))
        return [changed[one.ref] for one in now if one == planned[one.ref]]

    def _note_changes(self, data: Sequence[StoredData], look: Look) -> None:
        changed = self._changed_by_hand(data, look)
        if self.changes:
            for one in data:  # it may have been put back
                self.changes.pop(one.ref, None)
                self._found.pop(one.ref, None)
        if not changed:
            return
        from databuild.orchestration.stores.unrecorded import unrecorded_change

        recorded = {one.ref: one.version for one in data}
        for found in changed:
            self._changed[found.ref] = found
            self._found[found.ref] = look.found[found.ref]
            self.changes[found.ref] = unrecorded_change(recorded[found.ref], look.found[found.ref])

    def _object_storages(self) -> Storages:
        if self._storages is None:
            from databuild.storage.storages import Storages

            self._storages = Storages(self._extensions)
        return self._storages

    async def _record(self, missing: Mapping[str, str]) -> None:
        for ref in missing:
            self._inputs.pop(ref, None)  # the build rebuilds it, and so it is no data of another build any more
            self.changes.pop(ref, None)
        await self._lost(missing)

    def _used_by(self, plan: Plan) -> Iterator[str]:
        # A task whose changed inputs are made to the same versions does not run: its outputs are used as they are.
        kept = [
            partition
            for partition in plan.partitions
            if partition.version and (not partition.task_id or partition.reason == pt.REASON_INPUT_CHANGED)
        ]
        inputs: Collection[str] = plan.versions
        if any(partition.task_id for partition in kept):
            inputs = {ref for task in plan.tasks for ref in task.config.materialize}.union(plan.versions)
        for partition in kept:
            if (
                self._policy == "all"
                or partition.ref in inputs
                or (partition.requested and self._policy == "requested")
            ):
                yield partition.ref


def _data_of(findings: Mapping[str, StoreFinding]) -> str:
    return "the data of 1 partition" if len(findings) == 1 else f"the data of {len(findings):,} partitions"


def _list(findings: Mapping[str, StoreFinding]) -> str:
    more = f"; and {len(findings) - _MAX_NAMED:,} more" if len(findings) > _MAX_NAMED else ""
    return "; ".join(_named(found) for found in itertools.islice(findings.values(), _MAX_NAMED)) + more


def _named(found: StoreFinding) -> str:
    place = f" at {found.uri}" if found.uri else ""
    return f"{found.ref!r}{place} ({found.detail})"
