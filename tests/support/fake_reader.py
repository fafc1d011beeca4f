"""A reader of an event log with given records, for tests of commands that read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from databuild.event_log.coordination import Lease, ResourceUse
from databuild.model.records import BuildPartitionRecord, BuildRecord, JobRunRecord, LogSizes, PartitionRecord
from databuild.v1 import events_pb2 as ev


class FakeReader:
    """Has the given records."""

    def __init__(
        self,
        builds: Iterable[BuildRecord] = (),
        runs: Iterable[JobRunRecord] = (),
        partitions: Iterable[PartitionRecord] = (),
    ) -> None:
        self.all_builds = sorted(builds, key=lambda build: build.build_request_id, reverse=True)
        self.runs = list(runs)
        self.records = sorted(partitions)
        self.of_build: list[BuildPartitionRecord] = []
        self.later: list[BuildRecord] = []
        self.uses: list[ResourceUse] = []
        self.dead: Collection[str] = ()
        self.executor = ""

    def build(self, build_request_id: str) -> BuildRecord | None:
        if self.later:
            self.all_builds = [self.later.pop(0)]
        return next((build for build in self.all_builds if build.build_request_id == build_request_id), None)

    def builds_beginning(self, prefix: str, limit: int = 10) -> list[str]:
        return [build.build_request_id for build in self.all_builds if build.build_request_id.startswith(prefix)][
            :limit
        ]

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> list[BuildRecord]:
        found = [build for build in self.all_builds if status in {None, build.status}]
        return [build for build in found if before is None or build.build_request_id < before][:limit]

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[JobRunRecord]:
        runs = [run for run in self.runs if run.build_request_id == build_request_id and status in {None, run.status}]
        return runs[after : after + limit]

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> list[BuildPartitionRecord]:
        return [one for one in self.of_build if status in {None, one.status} and one.ref > after][:limit]

    def unleased_builds(self) -> list[str]:
        return []

    def holders(self) -> dict[str, bool]:
        return {"elsewhere/1/1": bool(self.dead)}

    def leases(self, holders: Sequence[str]) -> list[tuple[Lease, bool]]:
        builds = [build.build_request_id for build in self.all_builds]
        return [(Lease(build, 0.0, holder), build in self.dead) for holder in holders for build in builds]

    def resource_use(self) -> list[ResourceUse]:
        return self.uses

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        return next((run for run in self.runs if run.job_run_id == job_run_id), None)

    def partitions(
        self, *, prefix: str = "", contains: str = "", status: str | None = None, after: str = "", limit: int = 100
    ) -> list[PartitionRecord]:
        found = [record for record in self.records if record.ref.startswith(prefix) and record.ref > after]
        return [record for record in found if status in {None, record.status}][:limit]

    def events(self, _build: str, *, after_sequence: int = 0, limit: int = 1000) -> list[ev.BuildEvent]:
        assert (after_sequence, limit) == (0, 1)
        received = ev.BuildRequestEvent(options=ev.BuildOptions(executor=self.executor))
        return [ev.BuildEvent(build_request=received)]

    def size(self) -> int:
        return 3_500_000

    def sizes(self) -> LogSizes:
        return LogSizes(len(self.all_builds), 1, 40, self.size())

    def partition_counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for record in self.records:
            counts[record.status] = counts.get(record.status, 0) + 1
        return counts
