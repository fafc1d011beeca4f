"""A model of builds that share an event log, in a few dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

OPEN = ("SCHEDULED", "BUILDING")


@dataclass
class Record:
    """The model of the record of a partition."""

    status: str
    build: str
    available: bool = False
    version: str = ""
    tainted: bool = False


@dataclass
class Build:
    """A build: the end of its lease, the statuses of its partitions, and the current job run of each task."""

    name: str
    expires: float
    statuses: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    end: str = ""

    def task_of(self, ref: str) -> int:
        return list(self.statuses).index(ref) + 1

    def run_of(self, ref: str) -> str:
        return f"{self.name}.{self.task_of(ref)}.{self.attempts[ref]}"


class Model:
    """All builds over one event log."""

    def __init__(self) -> None:
        self.builds: dict[str, Build] = {}
        self.records: dict[str, Record] = {}
        self.claims: dict[str, tuple[str, str]] = {}
        self.slots: dict[str, str] = {}
        self.told_of: set[str] = set()
        self.token = 0

    def begin(self, name: str, refs: Sequence[str], expires: float) -> Build:
        build = self.builds[name] = Build(name, expires, dict.fromkeys(refs, "SCHEDULED"), dict.fromkeys(refs, 1))
        for ref in refs:
            self._known(build, ref, "SCHEDULED")
        return build

    def holders(self, build: Build, refs: Sequence[str]) -> dict[str, str]:
        """Returns the other builds that hold any of these refs."""
        held = {ref: self.claims[ref][0] for ref in refs if ref in self.claims}
        return {ref: name for ref, name in held.items() if name != build.name}

    def claim(self, build: Build, ref: str, token: int, slot: bool) -> None:
        assert token > self.token, "tokens grow"
        self.token = token
        self.claims[ref] = (build.name, build.run_of(ref))
        if slot:
            self.slots[build.run_of(ref)] = build.name
        assert len(self.slots) <= 1, "there is one slot"

    def schedule(self, build: Build, ref: str) -> None:
        self.told_of.add(build.run_of(ref))

    def start(self, build: Build, ref: str) -> None:
        self.schedule(build, ref)
        build.statuses[ref] = "BUILDING"
        self._known(build, ref, "BUILDING").available = False

    def finish(self, build: Build, ref: str) -> None:
        build.statuses[ref] = "AVAILABLE"
        record = self._known(build, ref, "AVAILABLE")
        record.available, record.version, record.tainted = True, build.run_of(ref), False
        self._release(build, ref)

    def try_again(self, build: Build, ref: str) -> None:
        self.slots.pop(build.run_of(ref), None)
        build.attempts[ref] += 1
        build.statuses[ref] = "SCHEDULED"
        self._known(build, ref, "SCHEDULED")

    def fail(self, build: Build, ref: str) -> None:
        never_ran = build.statuses[ref] == "SCHEDULED"
        build.statuses[ref] = "FAILED"
        self._known(build, ref, "FAILED").available &= never_ran
        self._release(build, ref)

    def delegate(self, build: Build, ref: str) -> None:
        build.statuses[ref] = "DELEGATED"
        record = self.records[ref]
        if record.build == build.name and record.available:
            record.status = "AVAILABLE"
        self._release(build, ref)

    def take_over(self, build: Build, ref: str) -> None:
        build.statuses[ref] = "SCHEDULED"
        self._known(build, ref, "SCHEDULED")

    def remove(self, refs: Sequence[str], status: str, operation: str) -> None:
        """Removes data that no build claims."""
        for ref in refs:
            record = self.records.get(ref)
            if record is not None and record.version:
                record.status, record.build = status, operation
                record.available = record.tainted = False

    def close(self, build: Build, end: str, in_doubt: Collection[str] = ()) -> None:
        """Ends a build. Its job runs may have changed partitions that are in doubt."""
        for ref, status in build.statuses.items():
            if status in OPEN:
                self.fail(build, ref)
                self.records[ref].available &= ref not in in_doubt
        build.end = end
        self.claims = {ref: claim for ref, claim in self.claims.items() if claim[0] != build.name}
        self.slots = {run: name for run, name in self.slots.items() if name != build.name}

    def in_doubt(self, name: str) -> list[str]:
        """Returns the claims of a build for job runs that are in the log."""
        return [ref for ref, (holder, run) in self.claims.items() if holder == name and run in self.told_of]

    def _known(self, build: Build, ref: str, status: str) -> Record:
        record = self.records.setdefault(ref, Record(status, build.name))
        record.status, record.build = status, build.name
        return record

    def _release(self, build: Build, ref: str) -> None:
        if self.claims.get(ref, ("",))[0] == build.name:
            del self.claims[ref]
        self.slots.pop(build.run_of(ref), None)


class Candidates:
    """The builds and partitions to which a step applies, as a model has them.

    Attributes:
        model: The model.
        now: The time in seconds.
    """

    model: Model
    now: float

    def open_builds(self) -> list[Build]:
        return [build for build in self.model.builds.values() if not build.end]

    def dead_builds(self) -> list[Build]:
        """Returns the builds that other processes have ended."""
        return [build for build in self.model.builds.values() if build.end == "DEAD"]

    def expired(self) -> list[Build]:
        return [build for build in self.open_builds() if build.expires < self.now]

    def standing(self, *statuses: str, builds: Iterable[Build] | None = None) -> list[tuple[Build, str]]:
        """Returns builds that have not ended with refs that have one of these statuses in them."""
        builds = self.open_builds() if builds is None else builds
        return [(build, ref) for build in builds for ref, status in build.statuses.items() if status in statuses]

    def scheduled(self) -> list[tuple[Build, str]]:
        return self.standing("SCHEDULED")

    def claimed(self) -> list[tuple[Build, str]]:
        claims = self.model.claims
        return [(build, ref) for build, ref in self.scheduled() if claims.get(ref) == (build.name, build.run_of(ref))]

    def untold(self) -> list[tuple[Build, str]]:
        return [(build, ref) for build, ref in self.claimed() if build.run_of(ref) not in self.model.told_of]

    def building(self) -> list[tuple[Build, str]]:
        return self.standing("BUILDING")

    def building_too_long(self) -> list[tuple[Build, str]]:
        return self.standing("BUILDING", builds=self.expired())

    def held_by_others(self) -> list[tuple[Build, str]]:
        return [(build, ref) for build, ref in self.scheduled() if self.model.holders(build, [ref])]

    def delegated(self) -> list[tuple[Build, str]]:
        return self.standing("DELEGATED")

    def wanted_by_two(self) -> list[tuple[Build, Build, str]]:
        free = [(build, ref) for build, ref in self.scheduled() if ref not in self.model.claims]
        return [(one, two, ref) for (one, ref), (two, same) in itertools.permutations(free, 2) if ref == same]

    def without_more_to_do(self) -> list[Build]:
        return [build for build in self.open_builds() if not {*OPEN, "DELEGATED"} & {*build.statuses.values()}]
