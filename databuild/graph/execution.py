"""Execution of a job graph: the loop that takes a ready task, claims its outputs, runs it and records its end.

Each slot runs this loop for one task after the other. The parts have files of their own: `ready_queue`, `claim_ahead`,
`following`, `attempts` (with retries) and `postponed` (tasks that wait for other builds). Execution knows tasks and
outcomes; it does not know processes, events or the source of the request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from databuild.errors import InvalidRequestError
from databuild.graph.attempts import Attempts
from databuild.graph.catalog import RetryPolicy
from databuild.graph.claim_ahead import SHORT_SECONDS, ClaimAhead, Claimed, granted
from databuild.graph.following import Following
from databuild.graph.ports import (
    Attempt,
    Ended,
    ExecutionObserver,
    ExecutionProgress,
    InputCheck,
    QueueingRunner,
    Recover,
    Recovery,
    Runner,
    RunNotEndedError,
    RunNotStartedError,
    RunOutcome,
    UnrecoverableError,
    Verdict,
)
from databuild.graph.postponed import PostponedTasks
from databuild.graph.queued_run import QueuedRun
from databuild.graph.ready_queue import ReadyQueue
from databuild.model.job_graph import Task
from databuild.tuples import EMPTY, NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_STOPPED: Final = "stopped: the build was cancelled"


class ExecutionOptions(NamedTuple):
    """Options of an execution.

    Attributes:
        jobs: The number of tasks that run at once.
        keep_going: True to continue with tasks that do not depend on a failure.
        retries: The retry policies, by job label.
        limits: The available amount of each named resource.
        needs: The amount of each resource that one run of a job needs, by job label.
        short_seconds: While tasks take less than this, others are claimed ahead.
        consecutive: The labels of jobs whose tasks run one after the other if they can.
    """

    jobs: int = 1
    keep_going: bool = False
    retries: Mapping[str, RetryPolicy] = EMPTY
    limits: Mapping[str, int] = EMPTY
    needs: Mapping[str, Mapping[str, int]] = EMPTY
    short_seconds: float = SHORT_SECONDS
    consecutive: frozenset[str] = frozenset()


class ExecutionResult:
    """The result of an execution.

    Attributes:
        completed: The number of completed tasks.
        failed: The tasks that failed for good.
        stopped_by: The task whose failure stopped the execution; None if no failure did.
    """

    __slots__ = ("completed", "failed", "stopped_by")

    def __init__(self, completed: int = 0, failed: Sequence[Task] = ()) -> None:
        self.completed = completed
        self.failed = list(failed)
        self.stopped_by: Task | None = None


async def _cannot_recover(task: Task, refs: Sequence[str]) -> Recovery:
    raise UnrecoverableError(f"{refs[0]!r}, which {task.job_label} needs, is missing")


async def execute(
    tasks: Sequence[Task],
    runner: Runner,
    observer: ExecutionObserver,
    options: ExecutionOptions,
    *,
    needed: Callable[[Task], bool] = lambda _: True,
    may_follow: Callable[[Task], bool] = lambda _: False,
    recover: Recover = _cannot_recover,
    inputs: InputCheck | None = None,
    progress: ExecutionProgress | None = None,
    queueing: QueueingRunner | None = None,
) -> ExecutionResult:
    """Runs a job graph to its end.

    Args:
        tasks: The job graph, in the order of task numbers.
        runner: Runs one task once.
        observer: Makes the claims, and records starts and ends.
        options: Limits, retries and the reaction to failures.
        needed: Called right before a task is claimed; returns False if the task need not run any more.
        may_follow: Returns True for a task that has to run whatever becomes of its inputs, so that it may be claimed
            while they are being made.
        recover: Finds the tasks that make inputs that are missing.
        inputs: Looks for the inputs of tasks that are about to start; None to leave that to the tasks.
        progress: The state of an execution that another process began; None for a new one. The runner is asked to run
            its running attempts, whose starts are recorded already.
        queueing: The runner, if its runs may wait in a queue; None if all runs start at once.

    Raises:
        InvalidRequestError: A job needs more of a resource than there is.
        asyncio.CancelledError: The awaiting task was cancelled; the observer has the ends of all attempts.
    """
    execution = _Execution(tasks, runner, observer, options, needed, may_follow, recover, inputs, queueing)
    if progress is not None:
        execution.restore(progress)
    return await execution.run()


class _Execution:
    def __init__(
        self,
        tasks: Sequence[Task],
        runner: Runner,
        observer: ExecutionObserver,
        options: ExecutionOptions,
        needed: Callable[[Task], bool],
        may_follow: Callable[[Task], bool],
        recover: Recover,
        inputs: InputCheck | None,
        queueing: QueueingRunner | None,
    ) -> None:
        self._queue = ReadyQueue(tasks, limits=options.limits, needs=options.needs, consecutive=options.consecutive)
        self._runner = runner
        self._observer = observer
        self._keep_going = options.keep_going
        self._needed = needed
        self._recover = recover
        self._inputs = inputs
        self._looked_for: set[int] = set()
        self._group = asyncio.TaskGroup()
        self._slots = max(1, min(options.jobs, len(tasks)))
        self._attempts = Attempts(options.retries)
        self._idle = _IdleSlots()
        self._postponed = PostponedTasks(observer, self._make_ready)
        self._following = Following(self._queue, may_follow)
        self._claims = ClaimAhead(
            observer,
            self._take_ready,
            self._idle.wake,
            self._following,
            self._take_following,
            slots=self._slots,
            short_seconds=options.short_seconds,
        )
        self._queueing = queueing
        self._queued = 0
        self._unqueued = 0
        self._extra_slots = 0
        self._result = ExecutionResult()
        self._resumed: Sequence[Attempt] = ()

    def restore(self, progress: ExecutionProgress) -> None:
        self._queue.restore(progress)
        self._attempts.restore(progress.attempts, progress.lost)
        self._resumed = progress.running
        self._result = ExecutionResult(progress.completed, progress.failed)
        if progress.failed and not self._keep_going:
            self._result.stopped_by = progress.failed[0]

    async def run(self) -> ExecutionResult:
        if not self._queue.finished:
            try:
                async with self._group as group:
                    # Attempts of another process run on, even if they are more than the slots of this one.
                    for number, resumed in enumerate(self._resumed, start=1):
                        group.create_task(self._run_slot(resumed), name=f"slot-{number}")
                    for number in range(len(self._resumed) + 1, self._slots + 1):
                        group.create_task(self._run_slot(), name=f"slot-{number}")
            except BaseExceptionGroup as errors:
                raise _first(errors) from errors
            finally:
                self._postponed.cancel()
                self._claims.stop()
        if self._result.stopped_by is not None:
            await self._give_up_rest(self._result.stopped_by)
        return self._result

    async def _run_slot(self, resumed: Attempt | None = None, *, extra: bool = False) -> None:
        # Take a ready task, claim its outputs and start it, once no other build produces them.
        # Run it.
        # Record its end, in one append with the start of the next task.
        ended = self._settle(resumed, await self._run(resumed)) if resumed is not None else None
        while (started := await self._start_next(ended, extra=extra)) is not None:
            if isinstance(started, _Queued):
                ended = await self._run_queued(started)
            else:
                ended = self._settle(started, await self._run(started))
                self._unqueued -= 1
        if extra:
            self._extra_slots -= 1
            self._idle.wake(1)  # a task that became ready for this slot may be left

    async def _start_next(self, ended: Ended | None, *, extra: bool) -> Attempt | _Queued | None:
        """Records the end of the last attempt, if any, and the start of the next.

        Args:
            ended: The end of the last attempt.
            extra: True for a slot whose attempts wait in the queue of the runner. It ends if nothing can wait.

        Returns:
            The attempt, or its place in the queue; None if all is done.
        """
        while True:
            may_take = self._result.stopped_by is None and (not extra or bool(self._queue_room()))
            claimed = self._next_claimed() if may_take else None
            if claimed is not None and claimed.may_start():
                return self._start(claimed.attempt, ended)
            # An end is recorded without delay; only a start that needs no waiting shares its append.
            if ended is not None:
                self._record_end(ended)
                ended = None
            if extra:
                if claimed is not None:
                    self._claims.put_back(claimed)
                if self._over():
                    self._idle.wake_all()
                return None
            if claimed is None:
                if self._over():
                    self._idle.wake_all()
                    return None
                await self._idle.sleep()
            elif (verdict := await claimed.verdict()) is Verdict.START:
                self._claims.put_back(claimed)  # it may have to wait for others by now
            else:
                self._put_off(claimed.attempt, verdict)

    def _next_claimed(self) -> Claimed | None:
        """Removes and returns the next claimed attempt that can start, or wait in the queue of the runner."""
        while (claimed := self._claims.pop()) is not None:
            task = claimed.attempt.task
            if not self._queue.is_open(task):
                self._withdraw(claimed.attempt)
            elif self._following.after(task) is None:
                self._following.wait(claimed)
            else:
                return claimed
        return None

    def _start(self, attempt: Attempt, ended: Ended | None) -> Attempt | _Queued:
        room = self._queue_room()
        # While attempts are in the queue, others follow them there, so that no more than `jobs` run.
        if room is None and not self._queued:
            self._unqueued += 1
            self._on_start(attempt)
            self._observer.record(ended, attempt)
            return attempt
        self._queued += 1
        if ended is not None:
            self._record_end(ended)
        after = self._following.after(attempt.task) or ()
        run = QueuedRun(attempt, self._observer, self._on_start, asyncio.get_running_loop().time)
        if not after:
            run.prepare()
        self._claims.make_room(room or 0)
        followers = self._following.passed(run)
        self._claims.add(followers)
        self._idle.wake(len(followers))
        if room and not self._unqueued:
            for _ in range(min(room - self._extra_slots, len(self._claims))):
                self._extra_slots += 1
                self._group.create_task(self._run_slot(extra=True), name=f"extra slot {self._extra_slots}")
        return _Queued(run, after)

    def _on_start(self, attempt: Attempt) -> None:
        self._attempts.started(attempt)
        self._following.forget(attempt)

    def _record_end(self, ended: Ended) -> None:
        self._observer.record(ended)
        self._following.recorded(ended.attempt.task)

    def _queue_room(self) -> int | None:
        if self._queueing is None:
            return None
        return self._queueing.queue_room(len(self._claims) + len(self._following))

    async def _run_queued(self, queued: _Queued) -> Ended | None:
        """Runs an attempt that waits in the queue of the runner; returns None if it was not started."""
        assert self._queueing is not None
        loop = asyncio.get_running_loop()
        run = queued.run
        attempt = run.attempt
        try:
            outcome = await self._queueing.run_queued(attempt, run, queued.after)
        except RunNotStartedError:
            self._put_back(run)
            return None
        except asyncio.CancelledError:
            # A run behind one whose end is not known is not recorded, although it may have started.
            if run.started_time is None or not run.prepared:
                run.withdraw()
            else:
                run.started(run.started_time, False)
                self._observer.record(_cancelled(attempt, _STOPPED))
            raise
        finally:
            self._queued -= 1
            self._following.left(run)
        if not run.prepared:  # the queue was lost before the ends of the runs before it were known
            self._put_back(run)
            return None
        if run.started_time is None or outcome.status != ev.JOB_STATUS_COMPLETED:
            run.started(run.started_time or loop.time(), False)
        assert run.started_time is not None
        seconds = loop.time() - run.started_time
        self._claims.observe_duration(seconds)
        ended = self._settle(attempt, outcome)
        return ended if run.recorded else ended._replace(started_ago=seconds)

    def _put_back(self, run: QueuedRun) -> None:
        """Makes an attempt that was not started one of the claimed ones again."""
        run.withdraw()
        if not self._queue.is_open(run.attempt.task):
            self._withdraw(run.attempt)
        elif not self._queue.waits(run.attempt.task):
            self._claims.put_back(granted(run.attempt))
            self._idle.wake(1)
        else:
            self._following.wait(granted(run.attempt))

    def _withdraw(self, attempt: Attempt) -> None:
        self._attempts.withdraw(attempt)
        self._following.forget(attempt)

    async def _run(self, attempt: Attempt) -> RunOutcome:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await self._runner.run(attempt.task, attempt.number)
        except asyncio.CancelledError as cancelled:
            message = cancelled.message if isinstance(cancelled, RunNotEndedError) else _STOPPED
            self._observer.record(_cancelled(attempt, message))
            raise
        finally:
            self._claims.observe_duration(loop.time() - started)

    def _settle(self, attempt: Attempt, outcome: RunOutcome) -> Ended:
        """Applies the outcome of an attempt: makes tasks ready, schedules a retry, or gives up tasks downstream."""
        task = attempt.task
        if outcome.status == ev.JOB_STATUS_COMPLETED:
            self._result.completed += 1
            # This slot takes one of the tasks that are ready now, the others are for idle slots.
            self._idle.wake(self._done(task) - 1)
            return Ended(attempt, outcome)
        if outcome.missing and self._result.stopped_by is None:
            self._attempts.missed_inputs(attempt)
            self._queue.release(task)
            self._group.create_task(self._make_inputs(task, outcome.missing), name=f"inputs of task {task.task_id}")
            return Ended(attempt, outcome, recovering=True)
        delay = self._attempts.retry_delay(attempt, outcome)
        if delay is not None and self._result.stopped_by is None:
            self._queue.release(task)
            self._idle.wake_all()
            asyncio.get_running_loop().call_later(delay, self._make_ready, task)
            return Ended(attempt, outcome, retry_in_seconds=delay)
        return Ended(attempt, outcome, given_up=self._fail(task))

    def _done(self, task: Task) -> int:
        """Marks a task as done, and returns how many more may start now."""
        freed = self._queue.done(task)
        followers = self._following.done(task)
        self._claims.add(followers)
        return freed + len(followers)

    def _fail(self, task: Task, *, released: bool = False) -> list[Task]:
        """Gives up a task and everything downstream of it."""
        self._result.failed.append(task)
        given_up = self._queue.failed(task, released=released)
        for follower in self._following.drop(given_up):
            self._withdraw(follower)
        if not self._keep_going and self._result.stopped_by is None:
            self._result.stopped_by = task
        self._idle.wake_all()
        return given_up

    async def _make_inputs(self, task: Task, refs: Sequence[str]) -> None:
        """Adds the tasks that make the missing inputs of a task to the execution, and lets the task wait for them."""
        fault = ""
        try:
            circle = self._queue.extend(task, await self._recover(task, refs))
            if circle is not None:
                outputs = [self._queue.task(number).config.outputs[0] for number in (circle[0], *reversed(circle))]
                fault = f"these partitions need each other: {' -> '.join(outputs)}"
        except (UnrecoverableError, InvalidRequestError) as error:
            fault = str(error)
        if fault:
            attempt = self._attempts.last(task)
            self._observer.record_unrecoverable(attempt, fault, self._fail(task, released=True))
        self._idle.wake_all()

    def _looked_for_inputs(self, task: Task, inputs: InputCheck) -> bool:
        """Returns True if a task may start; otherwise it is ready again when its inputs have been looked for."""
        if task.task_id in self._looked_for:
            self._looked_for.discard(task.task_id)
            return True
        if not inputs.is_due(task):
            return True
        self._queue.release(task)
        self._group.create_task(self._look_for_inputs(task, inputs), name=f"inputs of task {task.task_id}")
        return False

    async def _look_for_inputs(self, task: Task, inputs: InputCheck) -> None:
        self._looked_for.add(task.task_id)
        if missing := await inputs.missing(task):
            await self._make_inputs(task, missing)
        else:
            self._make_ready(task)

    def _put_off(self, attempt: Attempt, verdict: Verdict) -> None:
        """Withdraws an attempt that does not start. Its task is done if it is reused, else it is postponed."""
        task = attempt.task
        was_follower = self._following.is_follower(attempt)
        self._withdraw(attempt)
        if was_follower:
            self._idle.wake(self._following.refuse(attempt))
            return
        if verdict is Verdict.REUSED:
            self._idle.wake(self._done(task))
            return
        # A task that waits for resources shared by builds keeps those of its own build: the next task that needs them
        # would be refused as well.
        holding = verdict is Verdict.RESOURCES_TAKEN
        if not holding:
            self._queue.release(task)
            self._idle.wake_all()
        self._postponed.add(task, holding=holding)

    def _take_ready(self) -> Attempt | None:
        self._postponed.raise_error()
        while (task := self._queue.pop()) is not None:
            if self._needed(task):
                if self._inputs is None or self._looked_for_inputs(task, self._inputs):
                    self._following.lead(task)
                    return self._attempts.next(task)
                continue
            self._observer.record_reused(task)
            self._idle.wake(self._done(task))
        return None

    def _take_following(self, count: int) -> Sequence[Attempt]:
        attempts = [self._attempts.next(task) for task in self._following.take(count)]
        self._following.claimed(attempts)
        return attempts

    def _make_ready(self, task: Task, holding: bool = False) -> None:
        self._queue.again(task, holding=holding)
        self._idle.wake(1)

    def _over(self) -> bool:
        return self._queue.finished or self._result.stopped_by is not None

    async def _give_up_rest(self, because: Task) -> None:
        for claimed in (*self._claims.drain(), *self._following.drain()):
            verdict = await claimed.verdict()
            if verdict is not Verdict.START or self._following.is_follower(claimed.attempt):
                self._withdraw(claimed.attempt)
            if verdict is Verdict.REUSED:
                self._queue.done(claimed.attempt.task)
        self._observer.record_never_ran([self._attempts.unstarted(task) for task in self._queue.give_up()], because)


class _Queued(NamedTuple):
    """A run in the queue of the runner, and the attempts behind which it waits there."""

    run: QueuedRun
    after: Sequence[Attempt]


class _IdleSlots:
    """Slots that sleep until a task may be ready for them.

    A wake-up is a hint: the slot looks for a task, and sleeps again if another slot was faster. A wake-up without a
    sleeping slot is lost, which is safe: a slot looks for a task before it sleeps.
    """

    def __init__(self) -> None:
        self._sleeping: deque[asyncio.Future[None]] = deque()

    async def sleep(self) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.append(woken)
        await woken

    def wake(self, count: int) -> None:
        """Wakes up to `count` slots, longest asleep first."""
        while count > 0 and self._sleeping:
            woken = self._sleeping.popleft()
            if not woken.done():
                woken.set_result(None)
                count -= 1

    def wake_all(self) -> None:
        self.wake(len(self._sleeping))


def _cancelled(attempt: Attempt, message: str) -> Ended:
    outcome = RunOutcome(status=ev.JOB_STATUS_CANCELLED, category=pt.FAILURE_CATEGORY_CANCELLED, message=message)
    return Ended(attempt, outcome)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns the first error of nested groups, since callers catch DataBuildError and not ExceptionGroup."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
