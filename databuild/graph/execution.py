"""Executing a job graph: what runs when, what is tried again and what is given up.

One coroutine per place runs one task after the other. A task starts only once the log knows that it is scheduled; so
that places need not wait for the log, short tasks are scheduled while others still run. It knows tasks and outcomes; it
does not know processes, events or who started the build.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from databuild.graph.catalog import RetryPolicy
from databuild.graph.ports import Runner, RunOutcome
from databuild.graph.ready_queue import ReadyQueue
from databuild.model.job_graph import Task
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

AHEAD: Final = 16
"""How many short tasks are scheduled ahead for each place, so that the log is written before half of them have run."""

SHORT_SECONDS: Final = 0.02
"""What is a short task: others are scheduled ahead while one of them runs. Behind longer ones they would be held for
too long before they run, and would not notice the time that scheduling takes."""

_NO_RETRY = RetryPolicy()


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


class ExecutionObserver(Protocol):
    """Is told what happens. Each call takes note at once; what it returns is awaited for durability."""

    def moved_on(
        self, ended: Ended | None = None, started: Attempt | None = None, scheduled: Sequence[Attempt] = ()
    ) -> Awaitable[None]:
        """An attempt ended, another one starts in its place, and further ones are to start soon: any of these.

        An attempt is told of as scheduled first, and is started once that is durable.
        """
        ...

    def reused(self, task: Task) -> None:
        """A task need not run: its outputs are as they would be afterwards."""
        ...

    def never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        """Tasks will not run, since the failure of another stopped the build; number 0 was never scheduled."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionOptions:
    """How to execute.

    Attributes:
        jobs: How many tasks run at once.
        keep_going: Whether to go on with what does not depend on a failure.
        retries: What happens after a failed attempt, by job label.
        limits: How much there is of each named resource.
        needs: How much of each resource one run of a job takes, by job label.
        short_seconds: While tasks take less than this, others are scheduled ahead.
    """

    jobs: int = 1
    keep_going: bool = False
    retries: Mapping[str, RetryPolicy] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    needs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    short_seconds: float = SHORT_SECONDS


@dataclass(slots=True)
class ExecutionResult:
    """What came of an execution.

    Attributes:
        completed: How many tasks completed.
        failed: The tasks that failed for good.
        stopped_by: The task whose failure stopped the build; None where it went to its end.
    """

    completed: int = 0
    failed: list[Task] = field(default_factory=list)
    stopped_by: Task | None = None


class _Scheduled(NamedTuple):
    attempt: Attempt
    durable: asyncio.Future[None]


async def execute(
    tasks: Sequence[Task],
    runner: Runner,
    observer: ExecutionObserver,
    options: ExecutionOptions,
    *,
    needed: Callable[[Task], bool] = lambda _: True,
) -> ExecutionResult:
    """Runs a job graph to its end.

    Args:
        tasks: The job graph, in the order of task numbers.
        runner: Runs one task once.
        observer: Is told what happens.
        options: How to execute.
        needed: Asked right before a task would run whether it still has to.

    Raises:
        InvalidRequestError: A job needs more of a resource than there is.
        asyncio.CancelledError: The awaiting task was cancelled; the observer was told of what ran.
    """
    execution = _Execution(tasks, runner, observer, options, needed)
    return await execution.run()


class _Execution:
    def __init__(
        self,
        tasks: Sequence[Task],
        runner: Runner,
        observer: ExecutionObserver,
        options: ExecutionOptions,
        needed: Callable[[Task], bool],
    ) -> None:
        self._queue = ReadyQueue(tasks, limits=options.limits, needs=options.needs)
        self._runner = runner
        self._observer = observer
        self._options = options
        self._needed = needed
        self._attempts: dict[int, int] = {}
        self._unstarted: dict[int, int] = {}
        self._ahead: deque[_Scheduled] = deque()
        self._short = False
        self._idle: deque[asyncio.Future[None]] = deque()
        self._places = max(1, min(options.jobs, len(tasks)))
        self._result = ExecutionResult()

    async def run(self) -> ExecutionResult:
        if not self._queue.finished:
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(self._places):
                        group.create_task(self._place(), name=f"place-{number + 1}")
            except BaseExceptionGroup as errors:
                raise _first(errors) from errors
        if self._result.stopped_by is not None:
            rest = [Attempt(task, self._unstarted.get(task.task_id, 0)) for task in self._queue.give_up()]
            self._observer.never_ran(rest, self._result.stopped_by)
        return self._result

    async def _place(self) -> None:
        """Runs one task after the other until there is nothing left to run."""
        ended: Ended | None = None
        while True:
            scheduled = await self._take(ended)
            ended = None
            if scheduled is None:
                if self._over():
                    self._wake(len(self._idle))
                    return
                await self._sleep()
            else:
                ended = self._settle(scheduled, await self._run(scheduled))

    async def _take(self, ended: Ended | None) -> Attempt | None:
        """Returns an attempt that has been told of as started; None where there is nothing to run now."""
        stopped = self._result.stopped_by is not None
        taken = self._ahead.popleft() if self._ahead and not stopped else None
        fresh = [] if stopped else self._schedule(has_one=taken is not None)
        if taken is not None and taken.durable.done():
            self._keep(fresh, self._observer.moved_on(ended, self._start(taken), fresh))
            return taken.attempt
        if ended is not None or fresh:
            durable = asyncio.ensure_future(self._observer.moved_on(ended, None, fresh))
            if taken is None and fresh:
                taken = _Scheduled(fresh.pop(0), durable)
            self._keep(fresh, durable)
        if taken is None:
            return None
        await taken.durable
        if self._result.stopped_by is not None:
            return None
        self._observer.moved_on(None, self._start(taken))
        return taken.attempt

    def _start(self, scheduled: _Scheduled) -> Attempt:
        del self._unstarted[scheduled.attempt.task.task_id]
        return scheduled.attempt

    def _schedule(self, *, has_one: bool) -> list[Attempt]:
        """Returns the attempts that are to be scheduled now: one for this place, and some ahead of short tasks."""
        wanted = 0 if has_one else 1
        if self._short and len(self._ahead) <= self._places * AHEAD // 2:
            wanted += self._places * AHEAD - len(self._ahead)
        fresh: list[Attempt] = []
        while len(fresh) < wanted and (attempt := self._next()) is not None:
            fresh.append(attempt)
        return fresh

    def _keep(self, fresh: Sequence[Attempt], durable: Awaitable[None]) -> None:
        if fresh:
            future = asyncio.ensure_future(durable)
            self._ahead.extend(_Scheduled(attempt, future) for attempt in fresh)
            self._wake(len(fresh))

    async def _run(self, attempt: Attempt) -> RunOutcome:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await self._runner.run(attempt.task, attempt.number)
        except asyncio.CancelledError:
            outcome = RunOutcome(
                status=ev.JOB_STATUS_CANCELLED,
                category=pt.FAILURE_CATEGORY_CANCELLED,
                message="stopped: the build was cancelled",
            )
            self._observer.moved_on(Ended(attempt, outcome))
            raise
        finally:
            self._short = loop.time() - started < self._options.short_seconds

    def _next(self) -> Attempt | None:
        while (task := self._queue.pop()) is not None:
            if not self._needed(task):
                self._observer.reused(task)
                self._wake(self._queue.done(task))
                continue
            number = self._attempts.get(task.task_id, 0) + 1
            self._attempts[task.task_id] = self._unstarted[task.task_id] = number
            return Attempt(task, number)
        return None

    def _settle(self, attempt: Attempt, outcome: RunOutcome) -> Ended:
        task = attempt.task
        if outcome.status == ev.JOB_STATUS_COMPLETED:
            self._result.completed += 1
            # This place takes one of the tasks that are ready now, the others are for idle places.
            self._wake(self._queue.done(task) - 1)
            return Ended(attempt, outcome)
        policy = self._options.retries.get(task.job_label, _NO_RETRY)
        if attempt.number <= policy.retries and self._result.stopped_by is None:
            self._queue.release(task)
            self._wake(len(self._idle))
            delay = policy.delay(attempt.number)
            asyncio.get_running_loop().call_later(delay, self._try_again, task)
            return Ended(attempt, outcome, retry_in_seconds=delay)
        self._result.failed.append(task)
        given_up = self._queue.failed(task)
        if not self._options.keep_going and self._result.stopped_by is None:
            self._result.stopped_by = task
        self._wake(len(self._idle))
        return Ended(attempt, outcome, given_up=given_up)

    def _try_again(self, task: Task) -> None:
        self._queue.again(task)
        self._wake(1)

    def _over(self) -> bool:
        return self._queue.finished or self._result.stopped_by is not None

    async def _sleep(self) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(woken)
        await woken

    def _wake(self, count: int) -> None:
        while count > 0 and self._idle:
            woken = self._idle.popleft()
            if not woken.done():
                woken.set_result(None)
                count -= 1


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns the first error in a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
