"""Attempts at tasks: their numbers, and which of them are retried."""

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
        """Returns the next attempt at a task."""
        number = self._numbers.get(task.task_id, 0) + 1
        self._numbers[task.task_id] = self._unstarted[task.task_id] = number
        return Attempt(task, number)

    def started(self, attempt: Attempt) -> None:
        """Notes that an attempt has started."""
        del self._unstarted[attempt.task.task_id]

    def withdraw(self, attempt: Attempt) -> None:
        """Takes back an attempt that does not start: its number is used again."""
        del self._unstarted[attempt.task.task_id]
        self._numbers[attempt.task.task_id] -= 1

    def unstarted(self, task: Task) -> Attempt:
        """Returns the attempt at a task that is claimed but not started; its number is 0 if there is none."""
        return Attempt(task, self._unstarted.get(task.task_id, 0))

    def retry_delay(self, attempt: Attempt, outcome: RunOutcome) -> float | None:
        """Returns after how many seconds a failed attempt is retried; None if it is not."""
        policy = self._retries.get(attempt.task.job_label, _NO_RETRY)
        if outcome.final or attempt.number > policy.retries:
            return None
        return policy.delay(attempt.number)
