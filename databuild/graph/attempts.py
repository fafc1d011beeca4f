"""Attempts at tasks: their numbers and their retries."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.graph.catalog import RetryPolicy
from databuild.graph.ports import Attempt, RunOutcome
from databuild.model.job_graph import Task
from databuild.v1 import partition_pb2 as pt

_NO_RETRY = RetryPolicy()


class Attempts:
    """Counts the attempts at each task, from 1."""

    def __init__(self, retries: Mapping[str, RetryPolicy]) -> None:
        """Applies retry policies by job label; a job without one is not retried."""
        self._retries = retries
        self._numbers: dict[int, int] = {}
        self._unstarted: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._without_inputs: dict[int, int] = {}

    def restore(self, numbers: Mapping[int, int], lost: Mapping[int, int]) -> None:
        """Continues after attempts of another process: their number and the number of lost ones, by task number."""
        self._numbers.update(numbers)
        self._lost.update(lost)

    def next(self, task: Task) -> Attempt:
        number = self._numbers.get(task.task_id, 0) + 1
        self._numbers[task.task_id] = self._unstarted[task.task_id] = number
        return Attempt(task, number)

    def started(self, attempt: Attempt) -> None:
        del self._unstarted[attempt.task.task_id]

    def withdraw(self, attempt: Attempt) -> None:
        """Cancels an attempt that has not started. Its number is used again."""
        del self._unstarted[attempt.task.task_id]
        self._numbers[attempt.task.task_id] -= 1

    def unstarted(self, task: Task) -> Attempt:
        """Returns the attempt at a task that has been claimed but not started. Without one, its number is 0."""
        return Attempt(task, self._unstarted.get(task.task_id, 0))

    def last(self, task: Task) -> Attempt:
        """Returns the last attempt at a task. Without one, its number is 0."""
        return Attempt(task, self._numbers.get(task.task_id, 0))

    def missed_inputs(self, attempt: Attempt) -> None:
        """Counts an attempt that did not find its inputs: it uses up no retry."""
        task = attempt.task.task_id
        self._without_inputs[task] = self._without_inputs.get(task, 0) + 1

    def retry_delay(self, attempt: Attempt, outcome: RunOutcome) -> float | None:
        """Returns the delay before the retry of a failed attempt, in seconds; None if it is not retried.

        An attempt that an engine lost counts apart from the others.
        """
        policy = self._retries.get(attempt.task.job_label, _NO_RETRY)
        task = attempt.task.task_id
        if outcome.category == pt.FAILURE_CATEGORY_LOST:
            self._lost[task] = self._lost.get(task, 0) + 1
            return policy.delay(self._lost[task]) if self._lost[task] <= policy.infrastructure_retries else None
        own = attempt.number - self._lost.get(task, 0) - self._without_inputs.get(task, 0)
        if outcome.permanent or own > policy.retries:
            return None
        return policy.delay(own)
