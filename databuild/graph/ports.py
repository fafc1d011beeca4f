"""Protocols that analysis and execution need from outside, and the values that pass through them.

The package `orchestration` implements them. Analysis and execution know neither the origin of a build nor events nor
processes.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Collection, Generator, Mapping, Sequence
from typing import Any, Protocol

from databuild.graph.catalog import Job
from databuild.model.job_graph import JobConfig, Task
from databuild.model.planning import PlanningProgress
from databuild.model.records import PartitionRecord
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class PartitionRecords(Protocol):
    """Reads the current records of partitions. `event_log.reads.PartitionReads` fits."""

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        """Returns the records of partitions, by ref; a partition without a record is absent."""
        ...


class Configure(Protocol):
    """Asks a job for its configurations."""

    def __call__(self, job: Job, refs: Sequence[str]) -> Awaitable[Sequence[JobConfig]]:
        """Runs `JOB config REF...` once and returns the parsed answer.

        Raises:
            JobConfigurationError: The job failed, or its output is invalid.
        """
        ...


class Lookup(Protocol):
    """The lookup of a graph: finds the jobs that produce refs."""

    def __call__(self, refs: Sequence[str]) -> Awaitable[Mapping[str, str]]:
        """Returns the label of the job that produces each ref; a ref that no job produces is absent.

        Raises:
            LookupFaultError: The lookup failed, or its answer is invalid.
        """
        ...


class PastConfigs(Protocol):
    """Reads the configurations of past job runs."""

    def __call__(self, job_run_id: str) -> JobConfig | None:
        """Returns the configuration of a job run; None if it has been pruned."""
        ...


class PlanningObserver(Protocol):
    """Notified of the progress of planning. Called often, on the event loop."""

    def planning(self, progress: PlanningProgress) -> None:
        """Called with the progress after each step of planning."""
        ...

    def warned(self, warning: str) -> None:
        """Called with a warning about the request or the graph, which the plan will have as well."""
        ...


class RunOutcome(NamedTuple):
    """Outcome of one job run.

    Attributes:
        status: COMPLETED, FAILED or CANCELLED.
        category: The cause of a failure; unspecified if the run completed.
        message: One sentence about the failure.
        permanent: True if another attempt would fail in the same way, so that there is no retry.
        missing: The inputs that the run did not find. They are rebuilt, and then the task runs again.
        details: Further facts that the runner has for the observer; None for none.
    """

    status: ev.JobStatus
    category: pt.FailureCategory = pt.FAILURE_CATEGORY_UNSPECIFIED
    message: str = ""
    permanent: bool = False
    missing: tuple[str, ...] = ()
    details: object = None


class RunNotEndedError(asyncio.CancelledError):
    """The awaiting task was cancelled, and nobody confirmed that its run has ended.

    Args:
        message: One sentence for a person.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Runner(Protocol):
    """Runs one task once."""

    async def run(self, task: Task, attempt: int) -> RunOutcome: ...


class RunNotStartedError(Exception):
    """A run that waited in the queue of the runner was not started: the end of another has to be looked at first."""


class QueueingRunner(Runner, Protocol):
    """A runner whose runs may wait in a queue, so that a short task starts while the end of another is recorded."""

    def queue_room(self, waiting: int) -> int | None:
        """Returns the number of runs that may wait beyond those that run; None if all runs start at once.

        Args:
            waiting: The number of attempts that could be passed now.
        """
        ...

    async def run_queued(self, attempt: Attempt, start: RunStart, after: Sequence[Attempt]) -> RunOutcome:
        """Runs one task once, when its turn comes.

        Args:
            attempt: The attempt.
            start: Told of its start.
            after: Attempts in the queue that make its inputs. It starts when all of them have ended well.

        Raises:
            RunNotStartedError: It was not started.
        """
        ...


class Attempt(NamedTuple):
    """One attempt at a task; `number` counts from 1."""

    task: Task
    number: int


class RunStart(Protocol):
    """The start of a run that waits in a queue."""

    def started(self, time: float, ended: bool) -> None:
        """Called with the monotonic time of the start, and True if the run has ended already, as a short one has.

        Called before any report of the run, and possibly again.
        """
        ...

    def may_report(self) -> bool:
        """Returns False while the ends of runs before it have to be handled before its reports."""
        ...


class ExecutionProgress(NamedTuple):
    """The state of an execution that another process began.

    Attributes:
        completed: The number of tasks that were completed by job runs.
        done: The tasks that need not run any more, by number.
        failed: The tasks that failed for good.
        attempts: The number of attempts at each task that has any, by number; it includes the running one.
        lost: The number of attempts that an engine lost, by task number.
        running: The attempts that have not ended.
    """

    completed: int
    done: frozenset[int]
    failed: Sequence[Task]
    attempts: Mapping[int, int]
    lost: Mapping[int, int]
    running: Sequence[Attempt]


class Ended(NamedTuple):
    """End of an attempt, and its consequences.

    Attributes:
        attempt: The attempt.
        outcome: Its outcome.
        retry_in_seconds: The delay before the next attempt; None if there is no retry.
        recovering: True if the task runs again when its missing inputs have been made.
        given_up: The tasks downstream that cannot run because of this failure.
        started_ago: The seconds since the start of the attempt, if that is recorded together with its end; None if it
            is recorded already.
    """

    attempt: Attempt
    outcome: RunOutcome
    retry_in_seconds: float | None = None
    recovering: bool = False
    given_up: Sequence[Task] = ()
    started_ago: float | None = None


class Verdict(enum.Enum):
    """Verdict on the claim of an attempt."""

    START = enum.auto()
    """The attempt may start: this build has claimed its outputs."""
    REUSED = enum.auto()
    """The task need not run: its outputs exist already as the run would produce them."""
    CLAIMED_ELSEWHERE = enum.auto()
    """Another build is producing outputs of the task. Claim again after `wait_for_change`."""
    RESOURCES_TAKEN = enum.auto()
    """Other builds use the shared resources that the task needs. Claim again after `wait_for_change`; meanwhile the
    task keeps its resources of this build."""


class PendingVerdicts(Protocol):
    """Verdicts on a batch of claims, in the order of the attempts. Awaiting them flushes the claims to the log."""

    def done(self) -> bool: ...

    def result(self) -> Sequence[Verdict]:
        """Returns the verdicts; call it only when done."""
        ...

    def __await__(self) -> Generator[Any, Any, Sequence[Verdict]]: ...


class Recovery(NamedTuple):
    """The tasks that make missing inputs.

    Attributes:
        new_tasks: Tasks that are new in the job graph; they may depend on other tasks of it.
        again: The numbers of tasks that are done and have to run again.
        awaited: The numbers of the tasks, new or not, that make the missing inputs.
    """

    new_tasks: Sequence[Task] = ()
    again: Collection[int] = ()
    awaited: Collection[int] = ()


class UnrecoverableError(Exception):
    """Missing inputs of a task cannot be made; the message is one sentence."""


class Recover(Protocol):
    """Finds the tasks that make missing inputs."""

    def __call__(self, task: Task, refs: Sequence[str]) -> Awaitable[Recovery]:
        """Returns the tasks that make the inputs that a task did not find, after recording them.

        Raises:
            UnrecoverableError: No task can make one of them, or one was rebuilt already.
            OrchestrationError: DataBuild itself failed.
        """
        ...


class InputCheck(Protocol):
    """Checks whether inputs of tasks, which other builds have made, are still in their stores."""

    def is_due(self, task: Task) -> bool:
        """Returns True if inputs of a task should be looked for before it starts."""
        ...

    def missing(self, task: Task) -> Awaitable[Sequence[str]]:
        """Looks for these inputs, records which are missing, and returns them."""
        ...


class ExecutionObserver(Protocol):
    """Makes the claims of an execution, and records its facts."""

    def claim(self, attempts: Sequence[Attempt]) -> PendingVerdicts:
        """Claims the outputs of attempts. A verdict is there when the claim is durable."""
        ...

    def claim_following(self, attempts: Sequence[Attempt]) -> PendingVerdicts:
        """Claims the outputs of attempts whose inputs are being made, and which are recorded when they start.

        The verdict on one that must be looked at again when its inputs have been made is CLAIMED_ELSEWHERE.
        """
        ...

    def wait_for_change(self, task: Task) -> Awaitable[None]:
        """Waits until another claim of a task may succeed, after CLAIMED_ELSEWHERE or RESOURCES_TAKEN."""
        ...

    def record(self, ended: Ended | None = None, started: Attempt | None = None) -> Awaitable[None]:
        """Records the end of an attempt, the start of another, or both together. Need not be awaited."""
        ...

    def prepare(self, attempt: Attempt) -> None:
        """Prepares an attempt that waits in a queue, and may start before `record_start` is called."""
        ...

    def record_start(self, attempt: Attempt, seconds_ago: float) -> None:
        """Records that a prepared attempt has started."""
        ...

    def withdraw(self, attempt: Attempt) -> None:
        """Undoes `prepare` for an attempt that has not started."""
        ...

    def record_reused(self, task: Task) -> None:
        """Records that a task need not run, since its outputs exist already as the run would produce them."""
        ...

    def record_unrecoverable(self, attempt: Attempt, message: str, given_up: Sequence[Task]) -> None:
        """Records that a task cannot run any more, since its missing inputs cannot be made.

        Args:
            attempt: The last attempt at the task, which has ended; its number is 0 if there was none.
            message: One sentence about the reason.
            given_up: The tasks downstream that cannot run because of this.
        """
        ...

    def record_never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        """Records that tasks will not run, since a failure stopped the build. Number 0 means never scheduled."""
        ...
