"""Executions in which inputs of tasks are missing: tasks are added, or run again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from databuild.graph.attempts import Attempts
from databuild.graph.catalog import RetryPolicy
from databuild.graph.execution import ExecutionOptions, ExecutionResult, execute
from databuild.graph.ports import Attempt, Ended, InputCheck, Recovery, RunOutcome, UnrecoverableError, Verdict
from databuild.model.job_graph import JobConfig, Task
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

COMPLETED = RunOutcome(status=ev.JOB_STATUS_COMPLETED)


def task(number: int, *upstream: int) -> Task:
    return Task(number, f"//:job{number}", JobConfig((f"p{number}",)), upstream, "")


class Runner:
    """Remembers the attempts; each task misses inputs in its first attempts."""

    def __init__(self, **missing: Sequence[str]) -> None:
        self.ran: list[int] = []
        self._missing = {int(name[4:]): list(refs) for name, refs in missing.items()}

    async def run(self, task: Task, _attempt: int) -> RunOutcome:
        self.ran.append(task.task_id)
        await asyncio.sleep(0)
        if self._missing.get(task.task_id):
            missing = (self._missing[task.task_id].pop(0),)
            category = pt.FAILURE_CATEGORY_MISSING_DATA
            return RunOutcome(status=ev.JOB_STATUS_FAILED, category=category, missing=missing)
        return COMPLETED


class Observer:
    """Remembers failures for good."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, int, str, list[int]]] = []
        self.never_ran: list[int] = []

    def claim(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
        claims: asyncio.Future[Sequence[Verdict]] = asyncio.get_running_loop().create_future()
        claims.set_result([Verdict.START] * len(attempts))
        return claims

    def claim_following(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
        raise AssertionError(attempts)

    async def wait_for_change(self, task: Task) -> None:
        raise AssertionError(task)

    def record(self, _ended: Ended | None = None, _started: Attempt | None = None) -> asyncio.Future[None]:
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        recorded.set_result(None)
        return recorded

    def prepare(self, attempt: Attempt) -> None:
        raise AssertionError(attempt)

    def record_start(self, attempt: Attempt, seconds_ago: float) -> None:
        raise AssertionError(attempt, seconds_ago)

    def withdraw(self, attempt: Attempt) -> None:
        raise AssertionError(attempt)

    def record_reused(self, task: Task) -> None:
        raise AssertionError(task)

    def record_unrecoverable(self, attempt: Attempt, message: str, given_up: Sequence[Task]) -> None:
        skipped = [one.task_id for one in given_up]
        self.faults.append((attempt.task.task_id, attempt.number, message, skipped))

    def record_never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        assert because is not None
        self.never_ran += [one.task.task_id for one in attempts]


class Recoveries:
    """Answers for each missing ref."""

    def __init__(self, recoveries: Mapping[str, Recovery]) -> None:
        self.asked: list[tuple[int, str]] = []
        self._recoveries = recoveries

    async def __call__(self, task: Task, refs: Sequence[str]) -> Recovery:
        (ref,) = refs
        self.asked.append((task.task_id, ref))
        await asyncio.sleep(0)
        if ref not in self._recoveries:
            raise UnrecoverableError(f"nobody makes {ref}")
        return self._recoveries[ref]


async def run(
    tasks: Sequence[Task],
    runner: Runner,
    observer: Observer | None = None,
    inputs: InputCheck | None = None,
    keep_going: bool = False,
    **recoveries: Recovery,
) -> ExecutionResult:
    options = ExecutionOptions(jobs=2, keep_going=keep_going)
    recover = Recoveries(recoveries)
    async with asyncio.timeout(10):
        return await execute(tasks, runner, observer or Observer(), options, recover=recover, inputs=inputs)


async def test_new_tasks_run_before_the_task_that_needs_them_runs_again() -> None:
    runner = Runner(task1=["x"])
    result = await run([task(1), task(2, 1)], runner, x=Recovery(new_tasks=[task(3), task(4, 3)], awaited=[4]))

    assert runner.ran == [1, 3, 4, 1, 2]
    assert (result.completed, result.failed) == (4, [])


async def test_a_task_that_is_done_runs_again_and_holds_up_what_needs_it() -> None:
    runner = Runner(task2=["p1"])
    result = await run([task(1), task(2, 1), task(3, 2, 1)], runner, p1=Recovery(again=[1], awaited=[1]))

    assert runner.ran == [1, 2, 1, 2, 3]
    assert result.completed == 4


async def test_the_task_runs_again_at_once_if_nothing_has_to_be_made() -> None:
    runner = Runner(task1=["x"])
    await run([task(1)], runner, x=Recovery())

    assert runner.ran == [1, 1]


async def test_two_tasks_may_wait_for_the_same_input() -> None:
    runner = Runner(task2=["p1"], task3=["p1"])
    result = await run([task(1), task(2, 1), task(3, 1)], runner, p1=Recovery(again=[1], awaited=[1]))

    assert runner.ran[:3] == [1, 2, 3]
    assert sorted(runner.ran[3:]) in ([1, 2, 3], [1, 1, 2, 3])
    assert result.failed == []


async def test_an_input_that_nobody_makes_fails_the_task_and_what_needs_it() -> None:
    observer, runner = Observer(), Runner(task1=["x"])
    result = await run([task(1), task(2, 1), task(3)], runner, observer, keep_going=True)

    assert observer.faults == [(1, 1, "nobody makes x", [2])]
    assert ([one.task_id for one in result.failed], result.stopped_by) == ([1], None)


async def test_without_keep_going_the_build_stops() -> None:
    observer, runner = Observer(), Runner(task1=["x"])
    result = await run([task(1), task(2, 1), task(3, 1)], runner, observer)

    assert result.stopped_by == task(1)
    assert runner.ran == [1]


async def test_tasks_that_need_each_other_are_an_error() -> None:
    observer, runner = Observer(), Runner(task3=["p1"], task1=["own", "p3"])
    result = await run(
        [task(1), task(2, 1), task(3, 2)],
        runner,
        observer,
        p1=Recovery(again=[1], awaited=[1]),
        p3=Recovery(awaited=[3]),
        own=Recovery(),
    )

    # Task 1 misses an input of its own in its first run, and the output of task 3 when it runs again.
    assert runner.ran == [1, 1]
    assert observer.faults == [(1, 2, "these partitions need each other: p1 -> p3 -> p2 -> p1", [2, 3])]
    assert result.stopped_by == task(1)


async def test_a_new_task_that_needs_the_waiting_one_is_an_error() -> None:
    observer = Observer()
    await run([task(1)], Runner(task1=["x"]), observer, x=Recovery(new_tasks=[task(2, 1)], awaited=[2]))

    assert observer.faults == [(1, 1, "these partitions need each other: p1 -> p2 -> p1", [2])]


class Inputs:
    """Inputs are due once for each task; those of some tasks are missing."""

    def __init__(self, **missing: str) -> None:
        self.due = {1, 2, 3}
        self._missing = {int(name[4:]): ref for name, ref in missing.items()}

    def is_due(self, task: Task) -> bool:
        return task.task_id in self.due

    async def missing(self, task: Task) -> Sequence[str]:
        await asyncio.sleep(0)
        self.due.discard(task.task_id)
        ref = self._missing.get(task.task_id)
        return [ref] if ref else []


async def test_inputs_are_looked_for_before_a_task_starts() -> None:
    runner = Runner()
    result = await run(
        [task(1), task(2, 1)], runner, inputs=Inputs(task2="x"), x=Recovery(new_tasks=[task(3)], awaited=[3])
    )

    assert runner.ran == [1, 3, 2]
    assert result.completed == 3


async def test_a_task_may_be_due_again_and_again_and_starts() -> None:
    class Always(Inputs):
        def is_due(self, task: Task) -> bool:
            return bool(task)

    runner = Runner()
    await run([task(1), task(2, 1)], runner, inputs=Always())

    assert runner.ran == [1, 2]


async def test_a_task_that_never_ran_fails_without_an_attempt() -> None:
    observer = Observer()
    await run([task(1), task(2, 1)], Runner(), observer, inputs=Inputs(task1="x"))

    assert observer.faults == [(1, 0, "nobody makes x", [2])]


def test_an_attempt_that_missed_inputs_uses_up_no_retry() -> None:
    attempts = Attempts({"//:job1": RetryPolicy(retries=1)})
    failed = RunOutcome(status=ev.JOB_STATUS_FAILED, category=pt.FAILURE_CATEGORY_USER)
    first, second, third = (attempts.next(task(1)) for _ in range(3))
    attempts.missed_inputs(first)

    assert attempts.retry_delay(second, failed) is not None
    assert attempts.retry_delay(third, failed) is None
