"""Builds whose orchestrators have died are found by few reads, and by no race taken for dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from databuild.event_log.coordination import Lease
from databuild.event_log.reads import Reader
from databuild.model.records import BuildRecord
from databuild.model.statuses import BuildStatus
from databuild.orchestration.coordination.dead_builds import Death, find_dead_builds, find_orphaned_leases

ELSEWHERE = "elsewhere/1/1"


class Holders:
    """Reads of a log whose leases one process of another machine holds."""

    def __init__(self, *, expired: bool = False, unleased: Sequence[str] = ()) -> None:
        self.expired = expired
        self.unleased = unleased

    def unleased_builds(self) -> Sequence[str]:
        return self.unleased

    def holders(self) -> Mapping[str, bool]:
        return {ELSEWHERE: self.expired}


class Leases(Holders):
    """With the leases, by the status of their build. `ann` owns that of each build that has not begun."""

    def __init__(self, *leases: tuple[Lease, bool]) -> None:
        super().__init__(expired=True)
        self.of_builds = leases
        self.read: list[str] = []

    def leases(self, holders: Sequence[str]) -> Sequence[tuple[Lease, bool]]:
        return [one for one in self.of_builds if one[0].holder in holders]

    def build(self, build_request_id: str) -> BuildRecord:
        self.read.append(build_request_id)
        status: BuildStatus = "RECEIVED" if build_request_id.startswith("queued") else "PLANNING"
        return BuildRecord(build_request_id, status, "//:g", ("raw/1",), 1.0, 2.0, 3)


def as_reader(reads: Holders) -> Reader:
    return cast("Reader", reads)


def lease(build: str, owner: str = "", *, expired: bool = True) -> tuple[Lease, bool]:
    return Lease(build, 1.0, ELSEWHERE, owner), expired


def test_nothing_is_read_of_builds_that_live() -> None:
    assert find_dead_builds(as_reader(Holders())) == {}


def test_a_build_without_a_lease_is_dead() -> None:
    assert find_dead_builds(as_reader(Holders(unleased=["b"]))) == {"b": Death("it has no lease", True)}


def test_builds_are_dead_or_may_be_taken_over() -> None:
    reads = Leases(
        lease("queued-1", "ann"),
        lease("queued-2", "ann", expired=False),
        lease("queued-3"),
        lease("begun", "ann"),
    )

    assert find_dead_builds(as_reader(reads)).keys() == {"queued-3", "begun"}
    assert set(reads.read) == {"queued-1", "begun"}
    assert find_orphaned_leases(as_reader(reads)).keys() == {"queued-1"}


def test_a_build_that_is_taken_over_meanwhile_is_not_dead() -> None:
    class Overtaken(Leases):
        """Another process takes the build over, and plans it, before its record is read."""

        def build(self, build_request_id: str) -> BuildRecord:
            self.of_builds = ()
            return super().build(build_request_id)

    assert find_dead_builds(as_reader(Overtaken(lease("begun", "ann")))) == {}


def test_a_build_that_is_received_meanwhile_is_not_dead() -> None:
    class Later(Leases):
        """Another build is received, and its lease lapses, before the leases are read again."""

        def build(self, build_request_id: str) -> BuildRecord:
            self.of_builds = (lease("queued-1", "ann"), lease("queued-2", "ann"))
            return super().build(build_request_id)

    assert find_dead_builds(as_reader(Later(lease("queued-1", "ann")))) == {}
