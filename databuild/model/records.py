"""What is known now of builds, job runs and partitions: rows of the read models.

NamedTuples rather than frozen dataclasses, and statuses by name rather than as enums: the commands that only read must
answer within a few interpreter start-ups, and the imports of `dataclasses` and `enum` alone would cost one more.
Times are seconds since the epoch (UTC); statuses are the names of the protobuf enum values without their prefix, such
as `COMPLETED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from databuild.model.statuses import BuildStatus, JobStatus, PartitionStatus


class InputVersion(NamedTuple):
    """One input of a partition as it was when that partition was produced."""

    ref: str
    version: str
    query: bool = False


class Manifest(NamedTuple):
    """What a job run consumed to produce its outputs."""

    job_label: str
    code_digest: str
    configuration_digest: str
    inputs: tuple[InputVersion, ...] = ()


class FailureRecord(NamedTuple):
    """Why something did not end well; `category` is a name of FailureCategory, such as `USER`."""

    category: str
    message: str


class AdoptionRecord(NamedTuple):
    """Who made data known that was not built here, when and why; `operation_id` is what the event is filed under."""

    operation_id: str
    author: str
    reason: str
    time: float


class PartitionRecord(NamedTuple):
    """What is known now of one partition, whichever build it came from.

    Attributes:
        ref: Its address.
        status: The newest status in any build.
        build_request_id: The build which that status is from.
        time: When that status was reached, in seconds since the epoch.
        available: Whether complete data exists now; stays true while a rebuild is only planned, and no job run has
            claimed the partition.
        version: The version of that data: its content digest or, without one, the id of the job run; of adopted data
            the id of the event.
        job_run_id: The job run that produced the data; empty where it was adopted.
        produced_by_build_request_id: The build of that job run, or the operation that adopted the data.
        manifest: What that job run consumed, also one that another event log knew; None where there is no data, or no
            job run made it.
        metadata: What the job reported of the data.
        tainted: Whether the data is marked not to be trusted.
        taint_reason: Who marked it and why.
        failure: Why the newest attempt failed, where it did.
        claimed_by_build_request_id: The build that is about to produce it, or does so; empty where none is.
        adoption: Who made the data known, where no job run produced it.
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

    @property
    def adopted(self) -> bool:
        """Whether the data is used as it is, since somebody vouches for it; not where its manifest was taken over."""
        return self.adoption is not None and self.manifest is None and self.available and not self.tainted


class BuildRecord(NamedTuple):
    """How a build stands; once it was pruned (`pruned_time` is not 0), this is all there is to know of it."""

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
    """How a job run stands; `number` grows in the order in which a build's runs were first heard of."""

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
    failure: FailureRecord | None = None


class LogSizes(NamedTuple):
    """How large an event log is: its builds, how many of them were pruned, its events, and the room that all takes."""

    builds: int
    pruned_builds: int
    events: int
    bytes: int


class BuildPartitionRecord(NamedTuple):
    """Where a partition stands within one build."""

    ref: str
    status: PartitionStatus
    task_id: int
    reason: str = ""
    cause: str = ""
    job_run_id: str = ""
    failure: FailureRecord | None = None
