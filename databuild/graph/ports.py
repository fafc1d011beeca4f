"""What analysis and execution need from outside, as Protocols.

They know nothing of who started the build, where events go or where processes run; the orchestrator happens to fit.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from databuild.graph.catalog import Job
from databuild.model.job_graph import JobConfig, Task
from databuild.model.planning import PlanningProgress
from databuild.model.records import PartitionRecord
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class PartitionRecords(Protocol):
    """Knows what is known now of partitions (the reader of the event log fits)."""

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
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


class PastConfigs(Protocol):
    """Knows the configurations of past job runs."""

    def __call__(self, job_run_id: str) -> JobConfig | None:
        """Returns the configuration of a job run; None where it is not known any more."""
        ...


class PlanningObserver(Protocol):
    """Is told how planning goes. Called often, on the event loop."""

    def planning(self, progress: PlanningProgress) -> None:
        """Planning has come further."""
        ...

    def warned(self, warning: str) -> None:
        """Something may not be meant as it is; the plan, if there will be one, has the same sentence."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How one job run ended.

    Attributes:
        status: COMPLETED, FAILED or CANCELLED.
        category: Whose fault a failure is; unspecified where it completed.
        message: One sentence about the failure.
        final: Whether it would fail again in the same way, so that it is not tried again.
    """

    status: ev.JobStatus
    category: pt.FailureCategory = pt.FAILURE_CATEGORY_UNSPECIFIED
    message: str = ""
    final: bool = False


class Runner(Protocol):
    """Runs one task once."""

    async def run(self, task: Task, attempt: int) -> RunOutcome:
        """Runs a task to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a task; `number` counts from 1."""

    task: Task
    number: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended, and what follows from it.

    Attributes:
        attempt: The attempt.
        outcome: How it ended.
        retry_in_seconds: When it will be tried again; None where it will not be.
        given_up: The tasks downstream that can no longer run.
    """

    attempt: Attempt
    outcome: RunOutcome
    retry_in_seconds: float | None = None
    given_up: Sequence[Task] = ()


class Verdict(enum.Enum):
    """What becomes of an attempt that was to start."""

    START = enum.auto()
    """It may start: nobody else produces its outputs."""
    REUSED = enum.auto()
    """It need not run: its outputs are as they would be afterwards."""
    LATER = enum.auto()
    """Somebody else produces its outputs; it is to be asked about again."""
    NOT_YET = enum.auto()
    """Others have what it needs; it keeps its place here, and is to be asked about again."""


class Preparing(Protocol):
    """Verdicts that are on their way; awaiting them hurries them."""

    def done(self) -> bool:
        """Whether they are there."""
        ...

    def result(self) -> Sequence[Verdict]:
        """Returns them, once they are there."""
        ...

    def __await__(self) -> Generator[Any, Any, Sequence[Verdict]]:
        """Waits until they are there."""
        ...


class ExecutionObserver(Protocol):
    """Is told what happens, and asked before anything does."""

    def prepare(self, attempts: Sequence[Attempt]) -> Preparing:
        """Says what becomes of attempts that are to start soon, once that is durable."""
        ...

    def changed(self, task: Task) -> Awaitable[None]:
        """Waits until it is worth asking again about a task of which the verdict was LATER or NOT_YET."""
        ...

    def moved_on(self, ended: Ended | None = None, started: Attempt | None = None) -> Awaitable[None]:
        """An attempt ended, another one starts in its place, or both. Takes note at once."""
        ...

    def reused(self, task: Task) -> None:
        """A task need not run: its outputs are as they would be afterwards."""
        ...

    def never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        """Tasks will not run, since the failure of another stopped the build; number 0 was never scheduled."""
        ...
