"""Executing job graphs with a runner and an observer that remember."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypedDict, Unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.graph.catalog import RetryPolicy
from databuild.graph.claim_ahead import CLAIMS_PER_SLOT
from databuild.graph.execution import ExecutionOptions, ExecutionResult, execute
from databuild.graph.ports import Attempt, Ended, ExecutionObserver, Runner, RunOutcome, Verdict
from databuild.model.job_graph import JobConfig, Task
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present

COMPLETED = RunOutcome(status=ev.JOB_STATUS_COMPLETED)
FAILED = RunOutcome(status=ev.JOB_STATUS_FAILED, category=pt.FAILURE_CATEGORY_USER, message="no")


def task(number: int, *upstream: int, job: str | None = None) -> Task:
    return Task(number, job or f"//:job{number}", JobConfig((f"p{number}",)), upstream, "")


class FakeRunner:
    """Remembers the attempts; each task fails a given number of times."""

    def __init__(self, failures: Mapping[int, int] | None = None, hang: Iterable[int] = ()) -> None:
        self.ran: list[tuple[int, int]] = []
        self.running = 0
        self.most_running = 0
        self._failures = dict(failures or {})
        self._hang = set(hang)
        self.hanging = asyncio.Event()

    async def run(self, task: Task, attempt: int) -> RunOutcome:
        self.ran.append((task.task_id, attempt))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if task.task_id in self._hang:
                self.hanging.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if self._failures.get(task.task_id, 0):
            self._failures[task.task_id] -= 1
            return FAILED
        return COMPLETED


class FakeObserver:
    """Remembers its calls, one line each."""

    def __init__(self, **verdicts: Sequence[Verdict]) -> None:
        self.told: list[tuple[str, int]] = []
        self.prepared: list[tuple[int, int]] = []
        self.verdicts = {int(name[4:]): list(given) for name, given in verdicts.items()}
        self.waiting = 0
        self.max_waiting = 0

    def claim(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
        self.prepared += [(attempt.task.task_id, attempt.number) for attempt in attempts]
        self.waiting += len(attempts)
        self.max_waiting = max(self.max_waiting, self.waiting)
        preparing: asyncio.Future[Sequence[Verdict]] = asyncio.get_running_loop().create_future()
        preparing.set_result([self.verdict(attempt.task) for attempt in attempts])
        return preparing

    def verdict(self, task: Task) -> Verdict:
        return self.verdicts[task.task_id].pop(0) if self.verdicts.get(task.task_id) else Verdict.START

    def claim_following(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
        raise AssertionError(attempts)

    async def wait_for_change(self, task: Task) -> None:
        self.told.append(("changed", task.task_id))

    def record(self, ended: Ended | None = None, started: Attempt | None = None) -> asyncio.Future[None]:
        self.waiting -= started is not None
        if ended is not None:
            word = {
                ev.JOB_STATUS_COMPLETED: "completed",
                ev.JOB_STATUS_FAILED: "failed",
                ev.JOB_STATUS_CANCELLED: "cancelled",
            }[ended.outcome.status]
            self.told.append((word, ended.attempt.task.task_id))
            self.told += [("skipped", given_up.task_id) for given_up in ended.given_up]
        if started is not None:
            self.told.append(("started", started.task.task_id))
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
        self.told.append(("reused", task.task_id))

    def record_unrecoverable(self, attempt: Attempt, message: str, given_up: Sequence[Task]) -> None:
        self.told.append((message, attempt.task.task_id))
        self.told += [("skipped", one.task_id) for one in given_up]

    def record_never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        self.told += [("never ran", one.task.task_id) for one in attempts]
        self.never_started = [(one.task.task_id, one.number) for one in attempts]


class Options(TypedDict, total=False):
    """The fields of `ExecutionOptions`."""

    jobs: int
    keep_going: bool
    retries: Mapping[str, RetryPolicy]
    limits: Mapping[str, int]
    needs: Mapping[str, Mapping[str, int]]
    short_seconds: float


async def run(
    tasks: Sequence[Task],
    runner: Runner,
    observer: ExecutionObserver | None = None,
    needed: Callable[[Task], bool] = lambda _: True,
    **options: Unpack[Options],
) -> ExecutionResult:
    return await execute(tasks, runner, observer or FakeObserver(), ExecutionOptions(**options), needed=needed)


async def test_an_empty_job_graph_is_done_at_once() -> None:
    result = await run([], FakeRunner())

    assert result.completed == 0


async def test_upstream_completes_before_downstream_starts() -> None:
    observer = FakeObserver()

    result = await run([task(1), task(2, 1), task(3, 2)], FakeRunner(), observer, jobs=4)

    assert result.completed == 3
    assert observer.told == [
        ("started", 1),
        ("completed", 1),
        ("started", 2),
        ("completed", 2),
        ("started", 3),
        ("completed", 3),
    ]


async def test_no_more_run_at_once_than_there_are_places() -> None:
    runner = FakeRunner()

    await run([task(n) for n in range(1, 21)], runner, jobs=3)

    assert runner.most_running == 3


async def test_fail_fast_lets_what_runs_finish_and_starts_nothing_more() -> None:
    observer = FakeObserver()

    result = await run([task(1), task(2), task(3, 1), task(4)], FakeRunner({1: 9}), observer, jobs=2)

    assert present(result.stopped_by).task_id == 1
    assert result.completed == 1
    assert ("completed", 2) in observer.told
    assert ("skipped", 3) in observer.told
    assert observer.told[-1] == ("never ran", 4)


async def test_a_task_starts_once_its_verdict_is_there() -> None:
    class Slow(FakeObserver):
        def claim(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
            super().claim(attempts)
            self.preparing: asyncio.Future[Sequence[Verdict]] = asyncio.get_running_loop().create_future()
            return self.preparing

    observer = Slow()
    runner = FakeRunner()
    execution = asyncio.create_task(run([task(1)], runner, observer))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    early = list(runner.ran)
    observer.preparing.set_result([Verdict.START])
    await execution

    assert early == []
    assert observer.prepared == runner.ran == [(1, 1)]


async def test_tasks_claimed_elsewhere_are_asked_about_again_while_others_run() -> None:
    observer = FakeObserver(task1=[Verdict.CLAIMED_ELSEWHERE, Verdict.CLAIMED_ELSEWHERE, Verdict.START])
    runner = FakeRunner()

    result = await run([task(1), task(2), task(3, 1)], runner, observer)

    assert result.completed == 3
    assert sorted(runner.ran) == [(1, 1), (2, 1), (3, 1)]
    assert observer.told.count(("changed", 1)) == 2


async def test_tasks_done_elsewhere_do_not_run_and_their_downstream_does() -> None:
    observer = FakeObserver(task1=[Verdict.CLAIMED_ELSEWHERE, Verdict.REUSED])
    runner = FakeRunner()

    result = await run([task(1), task(2, 1)], runner, observer, jobs=2)

    assert runner.ran == [(2, 1)]
    assert result.completed == 1


async def test_resources_are_free_while_a_task_waits_for_somebody_else() -> None:
    observer = FakeObserver(task1=[Verdict.CLAIMED_ELSEWHERE, Verdict.START])

    result = await run(
        [task(1), task(2)], FakeRunner(), observer, limits={"db": 1}, needs={"//:job1": {"db": 1}, "//:job2": {"db": 1}}
    )

    assert result.completed == 2


async def test_a_failure_ends_what_waits_for_somebody_else() -> None:
    class Never(FakeObserver):
        async def wait_for_change(self, task: Task) -> None:
            await asyncio.Event().wait()

    observer = Never(task1=[Verdict.CLAIMED_ELSEWHERE])

    result = await run([task(1), task(2)], FakeRunner({2: 9}), observer)

    assert present(result.stopped_by).task_id == 2
    assert observer.never_started == [(1, 0)]


async def test_an_error_while_waiting_comes_out_as_itself() -> None:
    class Broken(FakeObserver):
        async def wait_for_change(self, task: Task) -> None:
            message = "broken"
            raise OSError(message)

    with pytest.raises(OSError, match="broken"):
        await run([task(1)], FakeRunner(), Broken(task1=[Verdict.CLAIMED_ELSEWHERE]))


@pytest.mark.parametrize(("short_seconds", "most"), [(60, 2 * CLAIMS_PER_SLOT + 1), (0, 1)])
async def test_only_short_tasks_are_scheduled_while_others_run(short_seconds: int, most: int) -> None:
    observer = FakeObserver()

    result = await run([task(n) for n in range(1, 60)], FakeRunner(), observer, jobs=2, short_seconds=short_seconds)

    assert result.completed == 59
    assert observer.max_waiting == most


async def test_tasks_scheduled_ahead_of_a_failure_are_reported_with_their_attempt() -> None:
    observer = FakeObserver()

    result = await run([task(n) for n in range(1, 60)], FakeRunner({20: 9}), observer)

    started = {one for word, one in observer.told if word == "started"}
    assert present(result.stopped_by).task_id == 20
    assert [one for one in observer.never_started if one[1]] == [one for one in observer.prepared if one[0] > 20]
    assert [one for one, _ in observer.never_started] == sorted(set(range(1, 60)) - started)


async def test_keep_going_runs_what_does_not_depend_on_the_failure() -> None:
    observer = FakeObserver()

    result = await run(
        [task(1), task(2), task(3, 1), task(4, 2)], FakeRunner({1: 9}), observer, jobs=1, keep_going=True
    )

    assert result.stopped_by is None
    assert [one.task_id for one in result.failed] == [1]
    assert result.completed == 2
    assert ("skipped", 3) in observer.told
    assert ("completed", 4) in observer.told


async def test_a_failed_attempt_is_tried_again_as_often_as_the_policy_says() -> None:
    runner = FakeRunner({1: 2})

    result = await run([task(1), task(2, 1)], runner, retries={"//:job1": RetryPolicy(retries=2)})

    assert runner.ran == [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert result.completed == 2


async def test_retries_come_to_an_end() -> None:
    runner = FakeRunner({1: 9})

    result = await run([task(1)], runner, jobs=2, retries={"//:job1": RetryPolicy(retries=1)})

    assert runner.ran == [(1, 1), (1, 2)]
    assert [one.task_id for one in result.failed] == [1]


def test_the_wait_before_a_retry_grows_up_to_its_limit() -> None:
    policy = RetryPolicy(retries=5, backoff_seconds=2, multiplier=3, max_backoff_seconds=10)

    assert [policy.delay(n) for n in (1, 2, 3)] == [2, 6, 10]


async def test_a_task_that_is_not_needed_any_more_does_not_run() -> None:
    runner = FakeRunner()
    observer = FakeObserver()

    await run([task(1), task(2, 1), task(3, 2)], runner, observer, needed=lambda one: one.task_id != 2)

    assert runner.ran == [(1, 1), (3, 1)]
    assert ("reused", 2) in observer.told


async def test_cancelling_tells_of_every_task_that_ran() -> None:
    runner = FakeRunner(hang={2})
    observer = FakeObserver()
    execution = asyncio.create_task(run([task(1), task(2), task(3, 2)], runner, observer, jobs=2))
    await runner.hanging.wait()

    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await execution

    assert ("cancelled", 2) in observer.told
    assert ("started", 3) not in observer.told


async def test_an_error_of_the_runner_comes_out_as_itself() -> None:
    class Broken(FakeRunner):
        async def run(self, task: Task, attempt: int) -> RunOutcome:
            message = "broken"
            raise OSError(message)

    with pytest.raises(OSError, match="broken"):
        await run([task(1), task(2)], Broken(), jobs=2)


@st.composite
def job_graphs(draw: st.DrawFn) -> list[Task]:
    count = draw(st.integers(1, 12))
    return [
        task(n, *sorted(draw(st.sets(st.integers(1, n - 1), max_size=3))) if n > 1 else ()) for n in range(1, count + 1)
    ]


@given(job_graphs(), st.sets(st.integers(1, 12)), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_every_task_ends_exactly_once_whatever_fails(
    tasks: list[Task], failing: set[int], jobs: int, keep_going: bool
) -> None:
    observer = FakeObserver()
    runner = FakeRunner(dict.fromkeys(failing, 1))

    asyncio.run(run(tasks, runner, observer, jobs=jobs, keep_going=keep_going))

    ends = [number for word, number in observer.told if word != "started"]
    assert sorted(ends) == [one.task_id for one in tasks]
    done: set[int] = set()
    for word, number in observer.told:
        if word == "started":
            assert set(tasks[number - 1].upstream) <= done
        elif word == "completed":
            done.add(number)
