"""Records of builds, job runs and partitions: the rows of the read models.

They are NamedTuples with statuses by name, not frozen dataclasses with enums: importing `dataclasses` and `enum` would
double the start-up time of commands that only read. Times are seconds since the epoch (UTC); statuses are the names of
the protobuf enum values without their prefix, such as `COMPLETED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from databuild.model.statuses import BuildStatus, JobStatus, PartitionStatus
from databuild.tuples import NamedTuple


class InputVersion(NamedTuple):
    """One input of a partition, with its version when the partition was produced."""

    ref: str
    version: str
    query: bool = False


UNRECORDED: Final = "unrecorded:"
"""The beginning of the version of an input whose data was not that of its record, because somebody had changed it.

The size and the version that its store gave to the data follow, with a colon between them.
"""


class Manifest(NamedTuple):
    """The code, configuration and inputs from which a job run produced its outputs.

    Attributes:
        job_label: The label of the job.
        code_digest: The code digest of the job.
        configuration_digest: The configuration digest of the task.
        inputs: The inputs of the run.
        output_digests: The configuration digest of each output by ref, if the task was a batch of configurations. Empty
            otherwise.
    """

    job_label: str
    code_digest: str
    configuration_digest: str
    inputs: tuple[InputVersion, ...] = ()
    output_digests: Mapping[str, str] = {}

    def digest_of(self, ref: str) -> str:
        """Returns the configuration digest of an output."""
        return self.output_digests.get(ref, self.configuration_digest)


class FailureRecord(NamedTuple):
    """The reason of a failure; `category` is a name of FailureCategory, such as `USER`."""

    category: str
    message: str


class AdoptionRecord(NamedTuple):
    """The adoption of data that was not built here: its author, reason and time, and the id of its event."""

    operation_id: str
    author: str
    reason: str
    time: float


class RemovalRecord(NamedTuple):
    """The removal of the data of a partition.

    Attributes:
        operation_id: The id of its event.
        author: The user.
        reason: The reason.
        time: The time, in seconds since the epoch.
        kind: FORGOTTEN or DELETED.
    """

    operation_id: str
    author: str
    reason: str
    time: float
    kind: PartitionStatus


class Location(NamedTuple):
    """The place of the data of a partition in a store, with facts by which a change is noticed.

    Attributes:
        uri: The URI of a file, a folder or an object.
        size: The size in bytes; None if it is unknown.
        version: The version that the store gives to the data; empty if it is unknown. Not that of the partition.
    """

    uri: str
    size: int | None = None
    version: str = ""


class PartitionRecord(NamedTuple):
    """The current state of one partition across all builds.

    Attributes:
        ref: The address.
        status: The newest status in any build.
        build_request_id: The build of that status.
        time: The time of that status, in seconds since the epoch.
        available: True if complete data exists. It stays true during a rebuild until a job run claims the partition.
        version: The version of the data: its content digest, the id of the job run if there is no digest, or the id of
            the event for adopted data.
        job_run_id: The job run that produced the data; empty for adopted data.
        produced_by_build_request_id: The build of that job run, or the operation that adopted the data.
        manifest: The manifest of that job run, also one from another event log; None without data or job run.
        metadata: The metadata that the job reported.
        tainted: True if the data is marked not to be trusted.
        taint_reason: The author and reason of the mark.
        failure: The failure of the newest attempt; None if it did not fail.
        claimed_by_build_request_id: The build that claims the partition, to produce it; empty if there is none.
        adoption: The adoption of the data; None if a job run produced it.
        location: The place of the data; None if no job has reported it, or the data was deleted there.
        removal: The removal of the data; None if it was not removed, or was rebuilt since.
    """

    ref: str
    status: PartitionStatus
    build_request_id: str
    time: float
    available: bool
    version: str = ""
    job_run_id: str = ""
    produced_by_build_request_id: str = ""
    manifest: Manifest | None = None
    metadata: Mapping[str, Any] = {}
    tainted: bool = False
    taint_reason: str = ""
    failure: FailureRecord | None = None
    claimed_by_build_request_id: str = ""
    adoption: AdoptionRecord | None = None
    location: Location | None = None
    removal: RemovalRecord | None = None

    @property
    def deleted(self) -> bool:
        """True if the data was deleted and not rebuilt; what was made from it may still be fresh."""
        return self.removal is not None and self.removal.kind == "DELETED" and not self.available

    @property
    def adopted(self) -> bool:
        """True if the data counts as fresh because it was adopted; False if it was adopted with a manifest.

        A manifest from another event log makes freshness checkable.
        """
        return self.adoption is not None and self.manifest is None and self.available and not self.tainted


class PartitionState(NamedTuple):
    """The part of a partition record that is read at the same cost for every partition, whatever its manifest."""

    ref: str
    status: PartitionStatus
    available: bool
    version: str = ""
    tainted: bool = False


class StoredData(NamedTuple):
    """The version and the place of the data of an available partition that no build claims.

    Attributes:
        ref: The partition.
        version: The version of the data.
        location: Its place; None if no job has reported it.
    """

    ref: str
    version: str
    location: Location | None


StoredRow: TypeAlias = tuple[str, str, str]
"""The ref and the version of stored data, and its location as JSON: `["URI",SIZE,"VERSION"]`, empty for none.

Plain tuples, since there may be millions, of which most need not be decoded.
"""


class PlacedData(NamedTuple):
    """The data of a partition, whether it is available or not.

    Attributes:
        ref: The partition.
        version: The version of the data; empty if there never was any.
        location: Its place; None if no job has reported it, or the data was deleted there.
        status: The newest status of the partition.
        time: The time of that status, in seconds since the epoch.
        available: True if complete data exists and no build claims the partition.
        removed: FORGOTTEN or DELETED if the data was removed and not rebuilt; else empty.
    """

    ref: str
    version: str
    location: Location | None
    status: PartitionStatus
    time: float
    available: bool
    removed: str


class ReportedData(NamedTuple):
    """The newest data of a partition with the facts that its job has reported, for comparisons with other partitions.

    Attributes:
        ref: The partition.
        available: True if the data is complete.
        time: The time of the newest status, in seconds since the epoch.
        version: The version of the data; empty if there has never been any.
        job_run_id: The job run that produced it; empty for adopted data.
        duration_seconds: The duration of that run.
        metadata: The metadata of the data.
        location: Its place; None if no job has reported it.
    """

    ref: str
    available: bool
    time: float
    version: str
    job_run_id: str
    duration_seconds: float
    metadata: Mapping[str, Any]
    location: Location | None


class MetricRecord(NamedTuple):
    """A metric of a job run; `ref` is empty if it is about the whole run."""

    job_run_id: str
    name: str
    ref: str
    value: float
    unit: str


class CheckRecord(NamedTuple):
    """The result of a check of a job run; `ref` is empty if it is about the whole run."""

    job_run_id: str
    name: str
    ref: str
    passed: bool
    severity: str
    message: str


class PartitionUse(NamedTuple):
    """A fact about current data: it was made from an input.

    Attributes:
        input: The ref of the input.
        job_run_id: The job run that used it, for all partitions whose current data it produced; empty if the data was
            adopted from another event log.
        output: The adopted partition; empty if there is a job run.
        version: The version of the input that was read; empty if it had no record.
        query: True if the input was a QUERY input, which cannot make the outputs stale.
    """

    input: str
    job_run_id: str
    output: str
    version: str
    query: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """The key, by which uses are ordered."""
        return self.input, self.job_run_id, self.output


class BuildRecord(NamedTuple):
    """The state of a build. Of a pruned build (`pruned_time` is not 0), nothing else is kept."""

    build_request_id: str
    status: BuildStatus
    graph_label: str
    requested: tuple[str, ...]
    received_time: float
    updated_time: float
    last_sequence: int
    total_tasks: int = 0
    jobs_completed: int = 0
    jobs_failed: int = 0
    partitions_available: int = 0
    partitions_delegated: int = 0
    partitions_failed: int = 0
    retry_of_build_request_id: str = ""
    cancel_requested_by: str = ""
    failure: FailureRecord | None = None
    pruned_time: float = 0.0


class JobRunRecord(NamedTuple):
    """The state of a job run; `number` is the sequence number of its first event in the build.

    Runs on an engine have its address, the machine and the time at which it started the run, and the time for which the
    run waited. Runs whose logs are not in a state directory have the URI of their place, and after their end the sizes
    of the logs.
    Runs that a worker has served have its id and the number of the request among those of the worker.
    """

    job_run_id: str
    build_request_id: str
    number: int
    task_id: int
    job_label: str
    attempt: int
    status: JobStatus
    scheduled_time: float = 0.0
    started_time: float = 0.0
    ended_time: float = 0.0
    exit_code: int | None = None
    duration_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    executor: str = ""
    machine: str = ""
    placed_time: float = 0.0
    queued_seconds: float = 0.0
    log_store: str = ""
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    worker_id: str = ""
    worker_request: int = 0
    failure: FailureRecord | None = None


class LogSizes(NamedTuple):
    """The size of an event log: the numbers of builds, pruned builds and events, and the bytes on disk."""

    builds: int
    pruned_builds: int
    events: int
    bytes: int


class BuildPartitionRecord(NamedTuple):
    """The state of a partition within one build."""

    ref: str
    status: PartitionStatus
    task_id: int
    reason: str = ""
    cause: str = ""
    job_run_id: str = ""
    failure: FailureRecord | None = None
