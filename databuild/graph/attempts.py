"""Attempts at tasks: their numbers and their retries."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.graph.catalog import RetryPolicy
from databuild.graph.ports import Attempt, RunOutcome
from databuild.model.job_graph import Task

_NO_RETRY = RetryPolicy()


class Attempts:
    """Counts the attempts at each task, from 1."""

    def __init__(self, retries: Mapping[str, RetryPolicy]) -> None:
        """Applies retry policies by job label; a job without one is not retried."""
        self._retries = retries
        self._numbers: dict[int, int] = {}
        self._unstarted: dict[int, int] = {}

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

    def retry_delay(self, attempt: Attempt, outcome: RunOutcome) -> float | None:
        """Returns the delay before the retry of a failed attempt, in seconds; None if it is not retried."""
        policy = self._retries.get(attempt.task.job_label, _NO_RETRY)
        if outcome.permanent or attempt.number > policy.retries:
            return None
        return policy.delay(attempt.number)
