"""Executing a job graph: what runs when, what is tried again and what is given up.

One coroutine per place runs one task after the other. A task starts only once it is settled that nobody else produces
its outputs; so that places need not wait for that, short tasks are prepared while others still run. It knows tasks and
outcomes; it does not know processes, events or who started the build.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from databuild.graph.catalog import RetryPolicy
from databuild.graph.ports import Attempt, Ended, ExecutionObserver, Preparing, Runner, RunOutcome, Verdict
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
    preparing: Preparing
    place: int

    def verdict(self) -> Verdict:
        return self.preparing.result()[self.place]


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
        self._waiting: set[asyncio.Future[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._places = max(1, min(options.jobs, len(tasks)))
        self._result = ExecutionResult()
        self._error: BaseException | None = None

    async def run(self) -> ExecutionResult:
        if not self._queue.finished:
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(self._places):
                        group.create_task(self._place(), name=f"place-{number + 1}")
            except BaseExceptionGroup as errors:
                raise _first(errors) from errors
            finally:
                for waiting in self._waiting:
                    waiting.cancel()
        if self._result.stopped_by is not None:
            for scheduled in self._ahead:
                await scheduled.preparing
                if scheduled.verdict() is not Verdict.START:
                    self._put_off(scheduled)
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
        while True:
            scheduled = self._next_scheduled()
            if scheduled is not None and scheduled.preparing.done() and scheduled.verdict() is Verdict.START:
                return self._start(scheduled, ended)
            if ended is not None:
                self._observer.moved_on(ended)
                ended = None
            if scheduled is None:
                return None
            await scheduled.preparing
            if scheduled.verdict() is not Verdict.START:
                self._put_off(scheduled)
            elif self._result.stopped_by is None:
                return self._start(scheduled, None)
            else:
                return None

    def _next_scheduled(self) -> _Scheduled | None:
        """Returns what stands first in line, and has more put in line where that is wanted."""
        if self._result.stopped_by is not None:
            return None
        wanted = 0 if self._ahead else 1
        if self._short and len(self._ahead) <= self._places * AHEAD // 2:
            wanted = self._places * AHEAD + 1 - len(self._ahead)
        fresh: list[Attempt] = []
        while len(fresh) < wanted and (attempt := self._next()) is not None:
            fresh.append(attempt)
        if fresh:
            preparing = self._observer.prepare(fresh)
            self._ahead.extend(_Scheduled(attempt, preparing, place) for place, attempt in enumerate(fresh))
            self._wake(len(fresh) - 1)
        return self._ahead.popleft() if self._ahead else None

    def _start(self, scheduled: _Scheduled, ended: Ended | None) -> Attempt:
        attempt = scheduled.attempt
        del self._unstarted[attempt.task.task_id]
        self._observer.moved_on(ended, attempt)
        return attempt

    def _put_off(self, scheduled: _Scheduled) -> None:
        """Leaves an attempt that does not start: for good where that was not needed, else until something changes."""
        task = scheduled.attempt.task
        del self._unstarted[task.task_id]
        if scheduled.verdict() is Verdict.REUSED:
            self._wake(self._queue.done(task))
            return
        holding = scheduled.verdict() is Verdict.NOT_YET
        if not holding:
            self._queue.release(task)
            self._wake(len(self._idle))
        self._attempts[task.task_id] -= 1
        waiting = asyncio.ensure_future(self._observer.changed(task))
        self._waiting.add(waiting)
        waiting.add_done_callback(functools.partial(self._ask_again, task, holding))

    def _ask_again(self, task: Task, holding: bool, waiting: asyncio.Future[None]) -> None:
        self._waiting.discard(waiting)
        if not waiting.cancelled():
            if (error := waiting.exception()) is not None:
                self._error = error
            self._queue.again(task, holding=holding)
            self._wake(1)

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
        if self._error is not None:
            raise self._error
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
        if not outcome.final and attempt.number <= policy.retries and self._result.stopped_by is None:
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
