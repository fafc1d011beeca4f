"""Tasks that follow others: short ones that are claimed while the tasks that make their inputs wait or run.

So the next task of a chain starts as soon as the one before it has ended, and not when its claim is in the event log.
In the queue of a runner, it waits behind the runs of the tasks before it. Nothing is recorded of it before these have
ended well: if one does not, it has never been scheduled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from databuild.graph.claim_ahead import Claimed
from databuild.graph.ports import Attempt
from databuild.graph.queued_run import QueuedRun
from databuild.graph.ready_queue import ReadyQueue
from databuild.model.job_graph import Task

_MAX_LEADERS: Final = 256
"""The number of tasks, the last that were handed out, for which followers are looked for."""


class Following:
    """The followers that were claimed, and the runs behind which they may wait."""

    def __init__(self, queue: ReadyQueue, may_follow: Callable[[Task], bool]) -> None:
        """Knows no follower yet.

        Args:
            queue: The tasks.
            may_follow: Returns True for a task that has to run whatever becomes of its inputs.
        """
        self._queue = queue
        self._may_follow = may_follow
        self._leaders: deque[Task] = deque(maxlen=_MAX_LEADERS)
        self._waiting: dict[int, Claimed] = {}
        self._followers: set[tuple[int, int]] = set()
        self._refused: set[int] = set()
        self._queued: dict[int, QueuedRun] = {}

    def __len__(self) -> int:
        """The number of claimed followers that can neither start nor wait behind other runs yet."""
        return len(self._waiting)

    def lead(self, task: Task) -> None:
        """Called with each task that was handed out: others may follow it."""
        self._leaders.append(task)

    def take(self, count: int) -> list[Task]:
        """Hands out tasks that follow others, up to a number."""
        taken: list[Task] = []
        leaders = self._leaders
        while leaders:
            leader = leaders[0]
            if self._queue.is_open(leader):
                for number in self._queue.downstream(leader):
                    if len(taken) >= count:
                        return taken  # the leader may have further followers
                    follower = self._queue.may_follow(number) if number not in self._refused else None
                    if follower is not None and self._may_follow(follower):
                        self._queue.take(follower)
                        taken.append(follower)
                        leaders.append(follower)
            if leaders and leaders[0] is leader:  # unless it was pushed out
                leaders.popleft()
        return taken

    def claimed(self, attempts: Iterable[Attempt]) -> None:
        """Called with followers when they are claimed."""
        self._followers.update(_key(attempt) for attempt in attempts)

    def is_follower(self, attempt: Attempt) -> bool:
        """Returns True if an attempt that has not started was claimed as that of a follower: it is not recorded."""
        return _key(attempt) in self._followers

    def after(self, task: Task) -> Sequence[Attempt] | None:
        """Returns the attempts in the queue of the runner behind which a task may wait, none if it is ready.

        Returns None if the task can neither start nor wait there.
        """
        awaited = self._queue.awaited_by(task)
        if awaited is None or any(number not in self._queued for number in awaited):
            return None
        return [self._queued[number].attempt for number in awaited]

    def wait(self, claimed: Claimed) -> None:
        """Keeps a claimed follower until `passed` or `done` returns it."""
        self._waiting[claimed.attempt.task.task_id] = claimed

    def passed(self, run: QueuedRun) -> list[Claimed]:
        """Called with a run in the queue of the runner. Returns the followers that may wait behind it now."""
        self._queued[run.attempt.task.task_id] = run
        return self._startable(run.attempt.task)

    def left(self, run: QueuedRun) -> None:
        """Called with a run that has left the queue of the runner."""
        del self._queued[run.attempt.task.task_id]

    def done(self, task: Task) -> list[Claimed]:
        """Called with a task that is done. Returns the followers that may start now, or wait behind other runs."""
        return self._startable(task)

    def recorded(self, task: Task) -> None:
        """Called when the end of a task has been recorded: runs behind it may be recorded now."""
        for number in self._queue.downstream(task) if self._queued else ():
            run = self._queued.get(number)
            if run is not None and not run.prepared and not self._queue.waits(run.attempt.task):
                run.prepare()

    def drop(self, tasks: Iterable[Task]) -> list[Attempt]:
        """Forgets followers that were given up, and returns their attempts."""
        given_up = (self._waiting.pop(task.task_id, None) for task in tasks)
        return [claimed.attempt for claimed in given_up if claimed is not None]

    def refuse(self, attempt: Attempt) -> int:
        """Gives up a follower that cannot be claimed. Returns 1 if its task is ready now, else 0."""
        self._refused.add(attempt.task.task_id)
        return self._queue.put_back(attempt.task)

    def forget(self, attempt: Attempt) -> None:
        """Called with an attempt that has started, or whose number is used again."""
        self._followers.discard(_key(attempt))

    def drain(self) -> list[Claimed]:
        """Removes and returns all followers that wait."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        return waiting

    def _startable(self, task: Task) -> list[Claimed]:
        waiting = self._waiting
        return [
            waiting.pop(number)
            for number in (self._queue.downstream(task) if waiting else ())
            if number in waiting and self.after(waiting[number].attempt.task) is not None
        ]


def _key(attempt: Attempt) -> tuple[int, int]:
    return attempt.task.task_id, attempt.number
