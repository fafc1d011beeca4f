"""The order in which tasks become ready."""

from __future__ import annotations

import pytest

from databuild.errors import InvalidRequestError
from databuild.graph.ports import Attempt, ExecutionProgress
from databuild.graph.ready_queue import ReadyQueue
from databuild.model.job_graph import JobConfig, Task


def task(number: int, *upstream: int, job: str = "//:job") -> Task:
    return Task(number, job, JobConfig((f"p{number}",)), upstream, "")


def drain(queue: ReadyQueue) -> list[int]:
    taken = []
    while (one := queue.pop()) is not None:
        taken.append(one.task_id)
    return taken


def test_tasks_become_ready_when_all_that_is_upstream_is_done() -> None:
    first, second, third = task(1), task(2), task(3, 1, 2)
    queue = ReadyQueue([first, second, third])

    assert drain(queue) == [1, 2]
    assert queue.done(second) == 0
    assert drain(queue) == []
    assert queue.done(first) == 1
    assert drain(queue) == [3]
    assert not queue.finished
    queue.done(third)
    assert queue.finished


def test_a_failure_gives_up_everything_downstream_once() -> None:
    tasks = [task(1), task(2), task(3, 1), task(4, 1), task(5, 3, 4), task(6, 2)]
    queue = ReadyQueue(tasks)
    drain(queue)

    assert [given_up.task_id for given_up in queue.failed(tasks[0])] == [3, 4, 5]
    queue.done(tasks[1])
    assert drain(queue) == [6]


def test_a_task_waits_for_its_resources_and_others_pass_it() -> None:
    tasks = [task(1, job="//:gpu"), task(2, job="//:gpu"), task(3)]
    queue = ReadyQueue(tasks, limits={"gpu": 1}, needs={"//:gpu": {"gpu": 1}})

    assert drain(queue) == [1, 3]
    assert queue.done(tasks[0]) == 1
    assert drain(queue) == [2]


def test_a_task_that_is_tried_again_gives_its_resources_back_meanwhile() -> None:
    tasks = [task(1, job="//:gpu"), task(2, job="//:gpu")]
    queue = ReadyQueue(tasks, limits={"gpu": 1}, needs={"//:gpu": {"gpu": 1}})
    drain(queue)

    queue.release(tasks[0])
    assert drain(queue) == [2]
    queue.again(tasks[0])
    assert drain(queue) == []
    queue.done(tasks[1])
    assert drain(queue) == [1]


def test_a_task_that_is_put_off_with_its_resources_keeps_them() -> None:
    tasks = [task(1, job="//:gpu"), task(2, job="//:gpu"), task(3)]
    queue = ReadyQueue(tasks, limits={"gpu": 1}, needs={"//:gpu": {"gpu": 1}})
    assert drain(queue) == [1, 3]

    queue.again(tasks[0], holding=True)

    assert drain(queue) == [1]
    queue.done(tasks[0])
    assert drain(queue) == [2]


@pytest.mark.parametrize("limits", [{}, {"gpu": 1}])
def test_a_job_that_needs_more_than_there_is_is_refused_by_name(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidRequestError, match=r"//:gpu needs .*gpu"):
        ReadyQueue([task(1, job="//:gpu")], limits=limits, needs={"//:gpu": {"gpu": 2}})


def test_giving_up_returns_what_has_not_been_settled() -> None:
    tasks = [task(1), task(2), task(3, 1)]
    queue = ReadyQueue(tasks)
    drain(queue)
    queue.done(tasks[0])

    assert [one.task_id for one in queue.give_up()] == [2, 3]
    assert queue.finished
    assert queue.pop() is None


def test_an_execution_of_another_process_goes_on() -> None:
    tasks = [task(1), task(2, job="//:gpu"), task(3), task(4, 1), task(5, 3), task(6, 4, job="//:gpu"), task(7, 5)]
    queue = ReadyQueue(tasks, limits={"gpu": 1}, needs={"//:gpu": {"gpu": 1}})
    progress = ExecutionProgress(
        completed=2,
        done=frozenset({1, 4}),
        failed=[tasks[2]],
        attempts={1: 1, 2: 1, 3: 2, 4: 1},
        lost={},
        running=[Attempt(tasks[1], 1)],
    )

    queue.restore(progress)

    assert drain(queue) == []  # 5 and 7 were given up, and the one that runs holds the resource that 6 needs
    assert not queue.finished
    assert queue.done(tasks[1]) == 1
    assert drain(queue) == [6]
    queue.done(tasks[5])
    assert queue.finished


def test_tasks_of_a_job_with_workers_come_one_after_the_other() -> None:
    tasks = [task(1, job="//:a"), task(2, job="//:b"), task(3, job="//:a"), task(4), task(5, job="//:b"), task(6, 1)]
    queue = ReadyQueue(tasks, consecutive=["//:a", "//:b", "//:unused"])

    first = [queue.pop() for _ in range(2)]
    queue.done(tasks[0])

    assert first == [tasks[0], tasks[2]]
    assert drain(queue) == [2, 5, 4, 6]


def test_a_task_that_is_ready_later_continues_its_job() -> None:
    tasks = [task(1, job="//:a"), task(2), task(3, 1, job="//:a")]
    queue = ReadyQueue(tasks, consecutive=["//:a"])
    queue.pop()
    queue.done(tasks[0])

    assert drain(queue) == [3, 2]


def test_a_job_with_needs_is_in_the_order_of_numbers() -> None:
    tasks = [task(1, job="//:gpu"), task(2), task(3, job="//:gpu")]
    queue = ReadyQueue(tasks, limits={"gpu": 2}, needs={"//:gpu": {"gpu": 1}}, consecutive=["//:gpu"])

    assert drain(queue) == [1, 2, 3]
    assert [given_up.task_id for given_up in queue.give_up()] == [1, 2, 3]
