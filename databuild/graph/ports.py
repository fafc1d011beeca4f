"""What analysis and execution need from outside, as Protocols.

They know nothing of who started the build, where events go or where processes run; the orchestrator happens to fit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from databuild.graph.catalog import Job
from databuild.model.job_graph import JobConfig, Task
from databuild.model.records import PartitionRecord
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class PartitionRecords(Protocol):
    """Knows what is known now of partitions (the reader of the event log fits)."""

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        """Returns what is known of partitions, by ref; a ref of which nothing is known is absent."""
        ...


class Configure(Protocol):
    """Asks a job for its configurations."""

    def __call__(self, job: Job, refs: Sequence[str]) -> Awaitable[Sequence[JobConfig]]:
        """Runs `JOB config REF...` once and returns the parsed answer.

        Raises:
            JobConfigurationError: The job failed, or what it printed cannot be read.
        """
        ...


class Lookup(Protocol):
    """Asks a graph's lookup who produces refs."""

    def __call__(self, refs: Sequence[str]) -> Awaitable[Mapping[str, str]]:
        """Returns the label of the job that produces each ref; a ref that nobody produces is absent.

        Raises:
            LookupFaultError: It failed, or its answer cannot be used.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How one job run ended.

    Attributes:
        status: COMPLETED, FAILED or CANCELLED.
        category: Whose fault a failure is; unspecified where it completed.
        message: One sentence about the failure.
    """

    status: ev.JobStatus
    category: pt.FailureCategory = pt.FAILURE_CATEGORY_UNSPECIFIED
    message: str = ""


class Runner(Protocol):
    """Runs one task once."""

    async def run(self, task: Task, attempt: int) -> RunOutcome:
        """Runs a task to its end."""
        ...
