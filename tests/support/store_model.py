"""A model of an event log about data in a store: its records, and the job runs of a build by the rules of planning."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from databuild.model.records import Location
from tests.support.derived_data import INPUTS, DerivedData

AVAILABLE: Final = "AVAILABLE"
MISSING: Final = "MISSING"
DELETED: Final = "DELETED"
FORGOTTEN: Final = "FORGOTTEN"


@dataclass
class Known:
    """The record of a partition.

    Attributes:
        version: The version of its data.
        inputs: The versions of its inputs, by ref; None if its data was adopted.
        location: Its location; None after a deletion.
        status: Its status.
        tainted: True if it is tainted.
    """

    version: str
    inputs: Mapping[str, str] | None
    location: Location | None
    status: str = AVAILABLE
    tainted: bool = False


class StoreModel:
    """The records that an event log should have. The true store is that of the jobs.

    Attributes:
        records: The records, by ref.
    """

    def __init__(self, data: DerivedData) -> None:
        self.records: dict[str, Known] = {}
        self._data = data

    def findings(self) -> dict[str, str]:
        """Returns the kind of each finding of a verification of everything, by ref."""
        found = {}
        for ref, known in self.records.items():
            if known.status == AVAILABLE and known.location is not None:
                there = self._data.place.location(ref)
                if there is None:
                    found[ref] = "missing"
                elif there != known.location:
                    found[ref] = "changed"
        return found

    def record_findings(self, changed: str, adopted: Mapping[str, str]) -> None:
        """Records the findings of a verification.

        Args:
            changed: How changed data is handled, as in `StoreCheckOptions`.
            adopted: The versions of the data that was adopted, by ref.
        """
        for ref, kind in self.findings().items():
            known = self.records[ref]
            if kind == "missing":
                known.status, known.tainted = MISSING, False
            elif changed == "rebuild":
                known.tainted = True
            elif changed == "adopt":
                self.adopt(ref, adopted[ref])

    def adopt(self, ref: str, version: str) -> None:
        """Records that the present data was adopted."""
        self.records[ref] = Known(version, None, self._data.place.location(ref))

    def forget(self, ref: str) -> bool:
        """Records that data is forgotten, and returns False if nothing was known."""
        known = self.records.get(ref)
        if known is None or known.status == FORGOTTEN:
            return False
        known.status, known.tainted = FORGOTTEN, False
        return True

    def delete(self, ref: str) -> str | None:
        """Records a deletion.

        Returns:
            A part of the fault; empty if there is none, and None if there is nothing to delete.
        """
        known = self.records.get(ref)
        if known is None or (known.status == DELETED and known.location is None):
            return None
        if known.status == FORGOTTEN:
            return "adopt it first"
        if self._data.place.location(ref) not in {None, known.location}:
            return "was changed since it was made"
        known.status, known.tainted, known.location = DELETED, False, None
        return ""

    def plan(self, requested: Collection[str]) -> Callable[[], Iterator[str]]:
        """Records the losses that a build with a look at all data notices, and plans.

        Returns:
            A function that yields the partitions which the build makes, in an order of their inputs. The caller records
            each as made before it takes the next.
        """
        needed = set(requested)
        while True:
            reached = self._reached(requested, needed)
            lost = [
                ref
                for ref in reached
                if (known := self.records.get(ref)) is not None
                and known.status == AVAILABLE
                and not known.tainted
                and self._data.place.location(ref) is None
            ]
            for ref in lost:
                self.records[ref].status = MISSING
            planned = self._planned(reached, needed)
            more = self._needed_again(planned)
            if not lost and more <= needed:
                break
            needed = set(requested) if lost else needed | more

        def execute() -> Iterator[str]:
            for ref in planned:
                if self._certain(ref, needed) or self.records[ref].status == DELETED or self._is_stale(ref):
                    yield ref

        return execute

    def made(self, ref: str) -> None:
        """Records that a job run has made a partition."""
        location = self._data.place.location(ref)
        inputs = {used: self._read(used) for used in INPUTS[ref]}
        self.records[ref] = Known(self._data.digest(self._data.place.read(ref)), inputs, location)

    def _reached(self, requested: Collection[str], needed: Collection[str]) -> list[str]:
        """Returns the requested partitions and those upstream of them; nothing is known upstream of adopted data."""
        reached = set(requested)
        waiting = list(requested)
        while waiting:
            ref = waiting.pop()
            known = self.records.get(ref)
            if known is not None and known.inputs is None and not self._certain(ref, needed):
                continue
            waiting += set(INPUTS[ref]) - reached
            reached.update(INPUTS[ref])
        return [ref for ref in INPUTS if ref in reached]

    def _certain(self, ref: str, needed: Collection[str]) -> bool:
        """Returns True if a partition is made whatever the versions of its inputs are."""
        known = self.records.get(ref)
        return (
            known is None
            or known.tainted
            or known.status in {MISSING, FORGOTTEN}
            or (known.status == DELETED and ref in needed)
        )

    def _planned(self, reached: Collection[str], needed: Collection[str]) -> list[str]:
        """Returns the partitions with a task in the plan: those which are made, and those which may have to be."""
        planned: list[str] = []
        for ref in reached:
            if self._certain(ref, needed) or (
                self.records[ref].inputs is not None
                and (not set(INPUTS[ref]).isdisjoint(planned) or self._is_stale(ref))
            ):
                planned.append(ref)
        return planned

    def _needed_again(self, planned: Collection[str]) -> set[str]:
        """Returns the deleted partitions that the tasks of a plan need, in any number of steps."""
        found: set[str] = set()
        waiting = list(planned)
        while waiting:
            for used in INPUTS[waiting.pop()]:
                known = self.records.get(used)
                if known is not None and known.status == DELETED and used not in planned and used not in found:
                    found.add(used)
                    waiting.append(used)
        return found

    def _read(self, ref: str) -> str:
        """Returns the version of an input for a run that reads it now: its own for changed data."""
        known = self.records[ref]
        there = self._data.place.location(ref)
        if known.location is None or there in {None, known.location}:
            return known.version
        return f"changed to {there}"

    def _is_stale(self, ref: str) -> bool:
        """Returns True if the inputs of a partition have other versions than those from which it was made."""
        inputs = self.records[ref].inputs or {}
        return any(
            used not in self.records or inputs[used] not in {self.records[used].version, self._read(used)}
            for used in inputs
        )
