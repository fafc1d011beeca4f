"""Reads of an event log, one Protocol for each purpose. A function takes the narrowest that fits.

Reading is synchronous, since each read is a short keyed query and commands that only read must not pay for an event
loop. Code on an event loop reads in a thread.

Each call sees one consistent state, and raises EventLogError if the store cannot be read. Pages are by key: `after` is
the last key of the previous page, and a page has at most `limit` rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from databuild.event_log.coordination import Lease, ResourceUse
    from databuild.event_log.tables import Table
    from databuild.model.records import (
        BuildPartitionRecord,
        BuildRecord,
        CheckRecord,
        JobRunRecord,
        LogSizes,
        MetricRecord,
        PartitionRecord,
        PartitionState,
        PartitionUse,
        PlacedData,
        ReportedData,
        StoredData,
        StoredRow,
    )
    from databuild.v1.events_pb2 import BuildEvent


class BuildReads(Protocol):
    """Builds, and what belongs to one build: its partitions, job runs and events."""

    def build(self, build_request_id: str) -> BuildRecord | None:
        """Returns one build."""
        ...

    def cancel_requests(self, build_request_ids: Collection[str]) -> Mapping[str, str]:
        """Returns the authors of requests to cancel builds, by build; builds without a request are left out."""
        ...

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Returns ids of builds that begin with a prefix, last id first."""
        ...

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        """Returns builds, newest first: in the reverse order of their first events in the log.

        Args:
            status: Only builds of this status.
            before: The id of the last build of the previous page.
            limit: The maximum number of builds.

        Raises:
            BuildNotFoundError: The log has no build `before`.
        """
        ...

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        """Returns the partitions of one build with their statuses in it, by ref."""
        ...

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        """Returns the job runs of one build, in the order of their first events.

        Args:
            build_request_id: The build.
            status: Only runs of this status.
            after: The `number` of the last run of the previous page.
            limit: The maximum number of runs.
        """
        ...

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        """Returns one job run."""
        ...

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs of a job that were started, in any build, last scheduled first."""
        ...

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns events of one build, in order."""
        ...


class MetadataReads(Protocol):
    """The reports of jobs about partitions."""

    def metadata_of(self, refs: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """Returns the metadata of available partitions, by ref; refs that are not available are absent."""
        ...


class StoredDataReads(Protocol):
    """The places of data, for checks of stores. A partition that is not available, or that a build claims, has none."""

    def stored_data_of(self, refs: Collection[str]) -> Sequence[StoredData]:
        """Returns the data of partitions, in no particular order."""
        ...

    def stored_data_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredData]:
        """Returns the data of partitions whose refs begin with a prefix, by ref."""
        ...


class StoredRowReads(Protocol):
    """The same as `StoredDataReads`, in rows that cost less. `rows.stored_data` decodes those of interest."""

    def stored_rows_of(self, refs: Collection[str]) -> Sequence[StoredRow]:
        """Returns the data of partitions, in no particular order."""
        ...

    def stored_rows_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredRow]:
        """Returns the data of partitions whose refs begin with a prefix, by ref."""
        ...


class PlacedDataReads(Protocol):
    """Recorded data with its place, whether it is available or not."""

    def placed_data_of(self, refs: Collection[str]) -> Sequence[PlacedData]:
        """Returns the data of partitions that have a record, in no particular order."""
        ...

    def placed_data_under(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[PlacedData]:
        """Returns the data of partitions whose refs begin with a prefix, by ref."""
        ...


class ReportReads(Protocol):
    """Facts that job runs have reported about their outputs, for trends and comparisons."""

    def reported_under(self, prefix: str = "", *, before: str = "", limit: int = 100) -> Sequence[ReportedData]:
        """Returns the data of partitions whose refs begin with a prefix, last ref first.

        Takes time in proportion to the limit, which also counts partitions without data.

        Args:
            prefix: The beginning of the refs.
            before: Only partitions whose ref is smaller; empty for all.
            limit: The maximum number of partitions.
        """
        ...

    def reported_of(self, refs: Collection[str]) -> Sequence[ReportedData]:
        """Returns the data of partitions, in no particular order."""
        ...

    def metrics_of_runs(self, job_run_ids: Collection[str]) -> Sequence[MetricRecord]:
        """Returns the metrics of job runs, by job run and name."""
        ...

    def checks_of_runs(self, job_run_ids: Collection[str], *, limit: int = 1000) -> Sequence[CheckRecord]:
        """Returns the results of the checks of job runs, by job run and name."""
        ...

    def schemas_of(self, ref: str, job_run_ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """Returns the schemas of a partition that job runs have reported, each column with its type, by job run."""
        ...


class LineageReads(Protocol):
    """Recorded lineage of current data, and the states of partitions."""

    def uses(
        self, refs: Collection[str], *, after: tuple[str, str, str] | None = None, limit: int = 1000
    ) -> Sequence[PartitionUse]:
        """Returns the uses of inputs by current data, by input, job run and output.

        Only data that is current counts: a job run whose outputs were all produced again since has no uses.

        Args:
            refs: The inputs.
            after: The key of the last use of the previous page.
            limit: The maximum number of uses.
        """
        ...

    def outputs_of_runs(
        self, job_run_ids: Collection[str], *, after: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> Sequence[tuple[str, str]]:
        """Returns the partitions whose current data job runs produced: pairs of job run and ref, in their order."""
        ...

    def partition_states(self, refs: Collection[str]) -> Mapping[str, PartitionState]:
        """Returns the states of partitions, by ref; refs without a record are absent."""
        ...


class PartitionReads(LineageReads, Protocol):
    """Partitions across builds."""

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        """Returns the records of partitions, by ref; refs without a record are absent."""
        ...

    def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        status: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[PartitionRecord]:
        """Returns partition records by ref: those that begin with `prefix`, contain `contains` and have `status`.

        `status` is one of the names of `partition_counts`.
        """
        ...

    def partition_counts(self) -> Mapping[str, int]:
        """Returns the number of partitions by newest status; tainted ones also count as `TAINTED`."""
        ...

    def counts_under(self, prefix: str) -> Mapping[str, int]:
        """Returns the number of partitions whose refs begin with a prefix, by newest status.

        Tainted partitions count as `TAINTED` only. Takes time in proportion to their number, about 0.1 s for a million.
        """
        ...

    def statuses_under(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[tuple[str, str]]:
        """Returns refs that begin with a prefix, each with its status as in `counts_under`, by ref."""
        ...

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs started to produce a partition, last scheduled first: its history."""
        ...


class CoordinationReads(Protocol):
    """Claims, leases and resources of builds that have not ended."""

    def claimed(self, refs: Collection[str]) -> Mapping[str, str]:
        """Returns the build that claims a ref, by ref; unclaimed refs are absent."""
        ...

    def claims_of(self, build_request_id: str) -> Mapping[str, str]:
        """Returns the job run for which a build claims a ref, by ref."""
        ...

    def unleased_builds(self) -> Sequence[str]:
        """Returns the builds that have not ended and have no lease."""
        ...

    def holders(self) -> Mapping[str, bool]:
        """Returns the holders of leases, each with True if a lease of it has expired.

        A service may hold thousands of leases, of which this reads none.
        """
        ...

    def leases(self, holders: Collection[str]) -> Sequence[tuple[Lease, bool]]:
        """Returns the leases of some holders, each with True if it has expired, by build."""
        ...

    def resource_use(self) -> Sequence[ResourceUse]:
        """Returns the resources that builds hold and wait for, by resource and build."""
        ...


class OpenBuildReads(BuildReads, CoordinationReads, Protocol):
    """Builds together with their leases and claims: tells builds that are running from those that have died."""


class ExportReads(BuildReads, PartitionReads, Protocol):
    """Records and events that exporters read beside the events that they send."""


class LogFeed(Protocol):
    """Follows the whole log."""

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        """Returns events of all builds in the order in which they were written, each with its position."""
        ...

    def first_position(self, build_request_id: str) -> int | None:
        """Returns the position of the first event of a build; None if there is none, or if it was pruned."""
        ...

    def wait(self, seconds: float) -> bool:
        """Waits for new events at most `seconds`, and returns True if there may be some since the last call.

        The first call returns immediately. Read after a call that returned False, too: a writer that crashed may not
        have sent its notification.
        """
        ...


class LogSize(Protocol):
    """Measures the log."""

    def size(self) -> int:
        """Returns the bytes that the log takes; does not scan it."""
        ...

    def sizes(self) -> LogSizes:
        """Returns how large the log is; counts its events, which takes a while for many millions."""
        ...

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        """Returns the bytes of the events of builds, without the overhead of the store."""
        ...


class TableReads(Protocol):
    """Rows as they are stored, for comparing logs."""

    def rows(self, table: Table, *, after: Sequence[Any] = (), limit: int = 1000) -> Sequence[tuple[Any, ...]]:
        """Returns rows of a table by key; `after` is the key of the last row of the previous page."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Returns a context in which every call but `wait` sees the same state, however long it takes."""
        ...


class Reader(
    OpenBuildReads,
    PartitionReads,
    MetadataReads,
    StoredDataReads,
    StoredRowReads,
    PlacedDataReads,
    ReportReads,
    LogFeed,
    LogSize,
    TableReads,
    Protocol,
):
    """Everything that can be read: what a backend implements, and what its opener passes on."""

    def close(self) -> None:
        """Releases the connection."""
        ...
