"""Executing job graphs with a runner whose runs wait in a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databuild.graph.claim_ahead import CLAIMS_PER_QUEUED, CLAIMS_PER_SLOT
from databuild.graph.execution import ExecutionOptions, ExecutionResult, execute
from databuild.graph.ports import Attempt, Ended, RunNotStartedError, RunOutcome, RunStart, Verdict
from databuild.model.job_graph import JobConfig, Task
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.waiting import turns_until

COMPLETED = RunOutcome(status=ev.JOB_STATUS_COMPLETED)
FAILED = RunOutcome(status=ev.JOB_STATUS_FAILED, category=pt.FAILURE_CATEGORY_USER, message="no")

PLAIN, REPORTED, SLOW, FAILING, UNSTARTABLE = "plain", "reported", "slow", "failing", "unstartable"


def task(number: int, *upstream: int) -> Task:
    return Task(number, f"//:job{number}", JobConfig((f"p{number}",)), upstream, "")


class FakeQueue:
    """A runner with a queue, in which a run that is not plain sends those behind it back.

    Attributes:
        ran: The numbers of the tasks that have started, in order.
        max_running: The most runs that ran at once.
        max_passed: The most runs that waited or ran.
        hold: True to let no further run end.
        held: The number of runs that do not end.
        max_behind: The most runs behind which one run waited.
    """

    def __init__(self, slots: int, kinds: Sequence[str] = (), *, room: int | None = 6) -> None:
        self.ran: list[int] = []
        self.max_running = 0
        self.max_passed = 0
        self.max_behind = 0
        self.room = room
        self.hold = False
        self.held = 0
        self._slots = slots
        self._kinds = kinds
        self._running = 0
        self._passed = 0
        self._open: set[int] = set()
        self._waiting: list[tuple[asyncio.Future[None], int, set[int]]] = []
        self._coming_back: set[int] = set()

    def queue_room(self, waiting: int) -> int | None:
        return self.room if waiting else None

    async def run(self, task: Task, _attempt: int) -> RunOutcome:
        self._running += 1
        self._begin(task)
        await asyncio.sleep(0)
        self._end(task, send_back=False)
        return FAILED if self._kind(task) in {FAILING, UNSTARTABLE} else COMPLETED

    async def run_queued(self, attempt: Attempt, start: RunStart, after: Sequence[Attempt]) -> RunOutcome:
        task = attempt.task
        awaited = {one.task.task_id for one in after}
        assert awaited <= self._open
        if awaited & self._coming_back:
            raise RunNotStartedError
        self._open.add(task.task_id)
        self._passed += 1
        self.max_passed = max(self.max_passed, self._passed)
        self.max_behind = max(self.max_behind, len(awaited))
        try:
            if not awaited and self._running < self._slots:
                self._running += 1
            else:
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append((turn, task.task_id, awaited))
                await turn
            return await self._run_started(task, start)
        finally:
            self._open.discard(task.task_id)
            self._coming_back.discard(task.task_id)
            self._passed -= 1

    async def _run_started(self, task: Task, start: RunStart) -> RunOutcome:
        kind = self._kind(task)
        self._begin(task)
        try:
            if kind == SLOW:
                start.started(asyncio.get_running_loop().time(), False)
                await asyncio.sleep(0)
            if self.hold:
                self.held += 1
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self._end(task, send_back=kind in {REPORTED, FAILING, UNSTARTABLE})
        if kind != UNSTARTABLE:
            start.started(asyncio.get_running_loop().time(), kind != REPORTED)
        return FAILED if kind in {FAILING, UNSTARTABLE} else COMPLETED

    def _end(self, task: Task, *, send_back: bool) -> None:
        """Ends a run: sends those behind it back, or passes its slot on to the next."""
        self._running -= 1
        self._open.discard(task.task_id)
        waiting = [one for one in self._waiting if not one[0].done()]
        self._waiting.clear()
        if send_back:
            self._coming_back.update(number for _, number, _ in waiting)
            # After the end has been handled, as replies arrive in order.
            asyncio.get_running_loop().call_soon(self._send_back, [turn for turn, _, _ in waiting])
            return
        for turn, number, awaited in waiting:
            awaited.discard(task.task_id)
            if not awaited and self._running < self._slots:
                self._running += 1
                turn.set_result(None)
            else:
                self._waiting.append((turn, number, awaited))

    @staticmethod
    def _send_back(waiting: Sequence[asyncio.Future[None]]) -> None:
        for turn in reversed(waiting):
            if not turn.done():
                turn.set_exception(RunNotStartedError())

    def _begin(self, task: Task) -> None:
        self.ran.append(task.task_id)
        self.max_running = max(self.max_running, self._running)

    def _kind(self, task: Task) -> str:
        return self._kinds[task.task_id - 1] if task.task_id <= len(self._kinds) else PLAIN


class Recorder:
    """Checks the order of what it is told about each task, and remembers it.

    Args:
        refused: The tasks that cannot be claimed while their inputs are being made.
    """

    def __init__(self, refused: Collection[int] = ()) -> None:
        self.states: dict[int, str] = {}
        self.max_claimed = 0
        self.followed: list[int] = []
        self._refused = refused

    def _move(self, task: Task, after: set[str], state: str) -> None:
        assert self.states.get(task.task_id, "none") in after, (task.task_id, self.states.get(task.task_id), state)
        self.states[task.task_id] = state

    def claim(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
        answer: asyncio.Future[Sequence[Verdict]] = asyncio.get_running_loop().create_future()
        for attempt in attempts:
            self._move(attempt.task, {"none"}, "claimed")
        self.max_claimed = max(self.max_claimed, list(self.states.values()).count("claimed"))
        answer.set_result([Verdict.START] * len(attempts))
        return answer

    def claim_following(self, attempts: Sequence[Attempt]) -> asyncio.Future[Sequence[Verdict]]:
        answer: asyncio.Future[Sequence[Verdict]] = asyncio.get_running_loop().create_future()
        numbers = [attempt.task.task_id for attempt in attempts]
        self.followed += numbers
        verdicts = [Verdict.CLAIMED_ELSEWHERE if number in self._refused else Verdict.START for number in numbers]
        # Answered later, as by an event log.
        asyncio.get_running_loop().call_soon(answer.set_result, verdicts)
        return answer

    def _check_upstream(self, task: Task) -> None:
        assert all(self.states.get(upstream) == "completed" for upstream in task.upstream), task

    async def wait_for_change(self, task: Task) -> None:
        raise AssertionError(task)

    def record(self, ended: Ended | None = None, started: Attempt | None = None) -> asyncio.Future[None]:
        if ended is not None:
            state = {ev.JOB_STATUS_COMPLETED: "completed", ev.JOB_STATUS_CANCELLED: "cancelled"}
            after = {"started"} if ended.started_ago is None else {"prepared"}
            self._move(ended.attempt.task, after, state.get(ended.outcome.status, "failed"))
        if started is not None:
            self._check_upstream(started.task)
            self._move(started.task, self._claimed(started.task), "started")
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        recorded.set_result(None)
        return recorded

    def _claimed(self, task: Task) -> set[str]:
        return {"claimed", "none"} if task.task_id in self.followed else {"claimed"}

    def prepare(self, attempt: Attempt) -> None:
        self._check_upstream(attempt.task)
        self._move(attempt.task, self._claimed(attempt.task), "prepared")

    def record_start(self, attempt: Attempt, seconds_ago: float) -> None:
        assert seconds_ago >= 0
        self._move(attempt.task, {"prepared"}, "started")

    def withdraw(self, attempt: Attempt) -> None:
        self._move(attempt.task, {"prepared"}, "claimed")

    def record_reused(self, task: Task) -> None:
        raise AssertionError(task)

    def record_unrecoverable(self, attempt: Attempt, message: str, given_up: Sequence[Task]) -> None:
        raise AssertionError(attempt, message, given_up)

    def record_never_ran(self, attempts: Sequence[Attempt], because: Task) -> None:
        for attempt in attempts:
            self._move(attempt.task, {"claimed", "none"} if attempt.number else {"none"}, "never ran")


async def run(
    tasks: Sequence[Task],
    queue: FakeQueue,
    recorder: Recorder,
    *,
    jobs: int = 2,
    keep_going: bool = False,
    follow: bool = False,
) -> ExecutionResult:
    options = ExecutionOptions(jobs=jobs, keep_going=keep_going)
    return await execute(tasks, queue, recorder, options, may_follow=lambda _: follow, queueing=queue)


def chain(length: int) -> list[Task]:
    return [task(number, *([number - 1] if number > 1 else [])) for number in range(1, length + 1)]


async def test_more_runs_than_slots_are_passed_and_only_as_many_run() -> None:
    queue, recorder = FakeQueue(2), Recorder()

    result = await run([task(number) for number in range(1, 101)], queue, recorder)

    assert result.completed == 100
    assert sorted(queue.ran) == list(range(1, 101))
    assert queue.max_running == 2
    assert queue.max_passed == 2 + 6
    assert 2 * CLAIMS_PER_SLOT + 1 < recorder.max_claimed <= 2 * CLAIMS_PER_SLOT + 6 * CLAIMS_PER_QUEUED + 1


async def test_no_more_than_the_slots_are_passed_without_room() -> None:
    queue, recorder = FakeQueue(2, room=0), Recorder()

    result = await run([task(number) for number in range(1, 41)], queue, recorder)

    assert result.completed == 40
    assert queue.max_passed == 2


async def test_nothing_starts_after_a_failure_that_sent_the_queue_back() -> None:
    kinds = [PLAIN] * 30 + [FAILING]
    queue, recorder = FakeQueue(1, kinds), Recorder()

    result = await run([task(number) for number in range(1, 61)], queue, recorder, jobs=1)

    assert result.stopped_by is not None
    assert result.stopped_by.task_id == 31
    assert queue.ran == list(range(1, 32))
    assert [number for number, state in sorted(recorder.states.items()) if state == "never ran"] == list(range(32, 61))


async def test_a_cancelled_execution_records_the_ends_of_started_runs_alone() -> None:
    queue, recorder = FakeQueue(2, [SLOW] * 100), Recorder()
    execution = asyncio.create_task(run([task(number) for number in range(1, 101)], queue, recorder))
    await turns_until(lambda: queue.max_passed == 8)
    queue.hold = True
    await turns_until(lambda: queue.held == 2)

    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await execution

    states = list(recorder.states.values())
    assert states.count("cancelled") == 2
    assert set(states) == {"completed", "cancelled", "claimed"}


async def test_the_tasks_of_a_chain_wait_behind_each_other() -> None:
    queue, recorder = FakeQueue(2), Recorder()

    result = await run(chain(100), queue, recorder, follow=True)

    assert result.completed == 100
    assert queue.ran == list(range(1, 101))
    assert queue.max_running == 1
    assert queue.max_behind == 1
    assert queue.max_passed > 6
    assert len(recorder.followed) > 90


async def test_nothing_is_recorded_of_tasks_that_wait_behind_a_failure() -> None:
    queue, recorder = FakeQueue(2, [PLAIN] * 49 + [FAILING]), Recorder()

    result = await run(chain(100), queue, recorder, follow=True)

    assert result.stopped_by is not None
    assert queue.ran == list(range(1, 51))
    assert recorder.states[50] == "failed"
    assert max(recorder.followed) > 51
    assert {recorder.states[number] for number in range(51, 101) if number in recorder.states} <= {"never ran"}


async def test_a_task_that_cannot_be_claimed_early_is_claimed_when_it_is_ready() -> None:
    queue, recorder = FakeQueue(2), Recorder(refused=range(20, 90))

    result = await run(chain(100), queue, recorder, follow=True)

    assert result.completed == 100
    assert queue.ran == list(range(1, 101))


async def test_a_task_waits_behind_all_the_tasks_that_make_its_inputs() -> None:
    queue, recorder = FakeQueue(4), Recorder()
    width = 10
    tasks = [
        task(number, *(above for above in range(number - width - 1, number - width + 2) if above > 0))
        for number in range(1, 101)
    ]

    result = await run(tasks, queue, recorder, jobs=4, follow=True)

    assert result.completed == 100
    assert queue.max_behind == 3


async def test_a_cancelled_execution_records_nothing_of_tasks_that_wait_behind_others() -> None:
    queue, recorder = FakeQueue(2, [SLOW] * 100), Recorder()
    execution = asyncio.create_task(run(chain(100), queue, recorder, follow=True))
    await turns_until(lambda: queue.max_behind == 1 and queue.max_passed > 6)
    queue.hold = True
    await turns_until(lambda: queue.held == 1)

    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await execution

    assert list(recorder.states.values()).count("cancelled") == 1
    assert set(recorder.states.values()) == {"completed", "cancelled"}


@given(
    kinds=st.lists(st.sampled_from([PLAIN, PLAIN, PLAIN, REPORTED, SLOW, FAILING, UNSTARTABLE]), max_size=60),
    jobs=st.integers(1, 4),
    room=st.sampled_from([None, 0, 1, 3, 20]),
    depths=st.sets(st.integers(1, 60), min_size=1, max_size=3),
    follow=st.booleans(),
    refused=st.sets(st.integers(1, 60)),
)
def test_every_task_that_can_run_runs_once(
    kinds: Sequence[str], jobs: int, room: int | None, depths: set[int], follow: bool, refused: set[int]
) -> None:
    """Each task needs those that are as many places before it as `depths` says."""
    tasks = [
        task(number, *sorted(number - depth for depth in depths if number > depth))
        for number in range(1, len(kinds) + 1)
    ]

    async def build() -> tuple[FakeQueue, Recorder, ExecutionResult]:
        queue, recorder = FakeQueue(jobs, kinds, room=room), Recorder(refused)
        result = await asyncio.wait_for(run(tasks, queue, recorder, jobs=jobs, keep_going=True, follow=follow), 60)
        return queue, recorder, result

    queue, recorder, result = asyncio.run(build())

    fails = {number for number, kind in enumerate(kinds, start=1) if kind in {FAILING, UNSTARTABLE}}
    can_run: set[int] = set()
    for one in tasks:
        if can_run.issuperset(one.upstream) and fails.isdisjoint(one.upstream):
            can_run.add(one.task_id)
    assert sorted(queue.ran) == sorted(can_run)
    assert queue.max_running <= jobs
    assert {number for number, state in recorder.states.items() if state == "completed"} == can_run - fails
    assert result.completed == len(can_run - fails)
