"""The Protocol of the records and events that commands read. It imports nothing at run time, to start fast."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from databuild.model.records import BuildPartitionRecord, BuildRecord, JobRunRecord, PartitionRecord
    from databuild.v1.events_pb2 import BuildEvent


class Records(Protocol):
    """Reads records and events. `databuild.event_log.reads` documents the methods, which are a subset of its own."""

    def build(self, build_request_id: str) -> BuildRecord | None: ...

    def builds(
        self, *, status: str | None = None, before: str | None = None, limit: int = 20
    ) -> Sequence[BuildRecord]: ...

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]: ...

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]: ...

    def job_run(self, job_run_id: str) -> JobRunRecord | None: ...

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]: ...

    def partitions(
        self, *, prefix: str = "", contains: str = "", status: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[PartitionRecord]: ...

    def partition_counts(self) -> Mapping[str, int]: ...

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]: ...

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]: ...
