"""Queue of ready tasks: tasks whose upstream tasks are done and whose resources are free.

Knows tasks, their dependencies and their resources; it does not know how tasks are run.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from databuild.errors import InvalidRequestError
from databuild.graph.ports import ExecutionProgress, Recovery
from databuild.model.job_graph import Task

_MAX_AWAITED: Final = 8
"""The maximum number of tasks that a task which is handed out early may wait for."""


class ReadyQueue:
    """Hands out tasks whose upstream tasks are done and whose resources are free, lowest number first.

    Tasks of the last job come first as long as it has any, if the job is among `consecutive`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        limits: Mapping[str, int] | None = None,
        needs: Mapping[str, Mapping[str, int]] | None = None,
        consecutive: Collection[str] = (),
    ) -> None:
        """Makes tasks without upstream tasks ready.

        Args:
            tasks: The job graph, in the order of task numbers.
            limits: The available amount of each named resource.
            needs: The amount of each resource that one run of a job needs, by job label.
            consecutive: The labels of jobs whose tasks are handed out one after the other; not of jobs with needs.

        Raises:
            InvalidRequestError: A job needs more of a resource than there is.
        """
        self._tasks = {task.task_id: task for task in tasks}
        self._waiting_for = {task.task_id: len(task.upstream) for task in tasks}
        self._downstream: dict[int, list[int]] = {}
        for task in tasks:
            for upstream in task.upstream:
                self._downstream.setdefault(upstream, []).append(task.task_id)
        self._free = dict(limits or {})
        self._needs = {label: need for label, need in (needs or {}).items() if need}
        self._consecutive = frozenset(consecutive).difference(self._needs)
        self._last_job = ""
        self._ready: list[int] = []
        self._ready_of: dict[str, list[int]] = {}  # of each job in `consecutive`, if it has any
        self._fill(task.task_id for task in tasks if not task.upstream)
        self._parked: dict[str, list[int]] = {}
        self._holding: set[int] = set()
        self._unsettled = set(self._tasks)
        self._taken: set[int] = set()
        # Of tasks that run again: those that wait for them. Others that read their outputs are done or running.
        self._waiting_again: dict[int, list[int]] = {}
        self._check_needs()

    def restore(self, progress: ExecutionProgress) -> None:
        """Continues an execution of another process. Call it once, before anything else."""
        running = {attempt.task.task_id for attempt in progress.running}
        self._taken.update(running)
        for task_id in progress.done:
            self._unsettled.discard(task_id)
            for downstream in self._downstream.get(task_id, ()):
                self._waiting_for[downstream] -= 1
        for attempt in progress.running:
            for name, count in self._needs.get(attempt.task.job_label, {}).items():
                self._free[name] -= count
        for task in progress.failed:
            self._unsettled.discard(task.task_id)
            self._give_up_downstream(task)
        self._fill(task_id for task_id in self._unsettled if not self._waiting_for[task_id] and task_id not in running)

    def task(self, number: int) -> Task:
        """Returns a task by its number."""
        return self._tasks[number]

    @property
    def finished(self) -> bool:
        """True if every task is done, failed or given up."""
        return not self._unsettled

    def pop(self) -> Task | None:
        """Removes and returns the next ready task, and takes its resources; None if no task can run now."""
        while True:
            if label := self._next_consecutive_job():
                task = self._tasks[self._pop_of(label)]
            elif self._ready:
                task = self._tasks[heapq.heappop(self._ready)]
                self._last_job = ""
            else:
                return None
            # After an extension, a task that was ready may wait again. It is ready a second time when that has ended.
            if self._waiting_for[task.task_id] or task.task_id in self._taken or task.task_id not in self._unsettled:
                continue
            need = self._needs.get(task.job_label)
            if need is not None and task.task_id not in self._holding:
                if self._fitting(need) <= 0:
                    heapq.heappush(self._parked.setdefault(task.job_label, []), task.task_id)
                    continue
                for name, count in need.items():
                    self._free[name] -= count
            self._holding.discard(task.task_id)
            self._taken.add(task.task_id)
            return task

    def _next_consecutive_job(self) -> str:
        """Returns the job in `consecutive` that has the next task; empty if the task of another job is next."""
        if self._last_job in self._ready_of:
            return self._last_job
        label = min(self._ready_of, key=lambda job: self._ready_of[job][0], default="")
        is_first = bool(label) and (not self._ready or self._ready_of[label][0] < self._ready[0])
        return label if is_first else ""

    def _pop_of(self, label: str) -> int:
        self._last_job = label
        ready = self._ready_of[label]
        task_id = heapq.heappop(ready)
        if not ready:
            del self._ready_of[label]
        return task_id

    def done(self, task: Task) -> int:
        """Marks a task as done and returns how many more tasks may be ready now."""
        freed = self._release(task)
        self._taken.discard(task.task_id)
        self._unsettled.discard(task.task_id)
        waiting = self._waiting_again.pop(task.task_id, None)
        for downstream in self._downstream.get(task.task_id, ()) if waiting is None else waiting:
            self._waiting_for[downstream] -= 1
            if not self._waiting_for[downstream] and downstream in self._unsettled and downstream not in self._taken:
                self._push(downstream)
                freed += 1
        return freed

    def is_open(self, task: Task) -> bool:
        """Returns True unless a task is done, failed or given up."""
        return task.task_id in self._unsettled

    def downstream(self, task: Task) -> Sequence[int]:
        """Returns the numbers of the tasks that need a task."""
        return self._downstream.get(task.task_id, ())

    def waits(self, task: Task) -> bool:
        """Returns True if a task waits for others."""
        return bool(self._waiting_for[task.task_id])

    def awaited_by(self, task: Task) -> Sequence[int] | None:
        """Returns the numbers of the upstream tasks for which a task waits; None if it waits for other tasks."""
        if not (count := self._waiting_for[task.task_id]):
            return ()
        awaited = [upstream for upstream in task.upstream if upstream in self._unsettled]
        return awaited if len(awaited) == count else None

    def may_follow(self, number: int) -> Task | None:
        """Returns a task if it waits for a few tasks alone, all of which were handed out, and needs no resources."""
        if number in self._taken or number not in self._unsettled or self._waiting_for[number] > _MAX_AWAITED:
            return None
        task = self._tasks[number]
        awaited = self.awaited_by(task)
        if not awaited or task.job_label in self._needs or not self._taken.issuperset(awaited):
            return None
        return task

    def take(self, task: Task) -> None:
        """Hands out a task although it waits for others."""
        self._taken.add(task.task_id)

    def put_back(self, task: Task) -> int:
        """Undoes `take`, and returns 1 if the task is ready now, else 0."""
        self._taken.discard(task.task_id)
        if self._waiting_for[task.task_id]:
            return 0
        self._push(task.task_id)
        return 1

    def failed(self, task: Task, *, released: bool = False) -> list[Task]:
        """Marks a task as failed and returns the tasks downstream that can no longer run, in order.

        Args:
            task: The task.
            released: True if its resources were freed already.
        """
        if not released:
            self._release(task)
        self._taken.discard(task.task_id)
        self._unsettled.discard(task.task_id)
        return self._give_up_downstream(task)

    def extend(self, task: Task, recovery: Recovery) -> list[int] | None:
        """Lets a released task wait for tasks that make its missing inputs, and then makes it ready again.

        Args:
            task: The task.
            recovery: These tasks. New ones are added, and those that have to run again are no longer done.

        Returns:
            None; or, if one of these tasks waits for the task itself, the numbers of the tasks of this circle. Then the
            task waits for none of them.

        Raises:
            InvalidRequestError: A job needs more of a resource than there is.
        """
        for new in recovery.new_tasks:
            self._tasks[new.task_id] = new
            self._unsettled.add(new.task_id)
            self._waiting_for[new.task_id] = 0
            for upstream in new.upstream:
                self._wait(new.task_id, upstream)
        self._check_needs()
        for number in recovery.again:
            if number not in self._unsettled:
                self._reopen(number)
        circle = next((path for number in recovery.awaited if (path := self._path(task.task_id, number))), None)
        if circle is None:
            for number in recovery.awaited:
                self._wait(task.task_id, number)
            self._taken.discard(task.task_id)
        for number in {task.task_id, *(new.task_id for new in recovery.new_tasks), *recovery.again}:
            if not self._waiting_for[number]:
                self._push(number)
        return circle

    def _wait(self, task_id: int, upstream: int) -> None:
        """Lets a task wait for another one, if that is not done."""
        self._downstream.setdefault(upstream, []).append(task_id)
        if upstream in self._unsettled:
            self._waiting_for[task_id] += 1
            if upstream in self._waiting_again:
                self._waiting_again[upstream].append(task_id)

    def _reopen(self, number: int) -> None:
        self._unsettled.add(number)
        waiting = self._waiting_again[number] = [
            downstream
            for downstream in dict.fromkeys(self._downstream.get(number, ()))
            if downstream in self._unsettled and downstream not in self._taken
        ]
        for downstream in waiting:
            self._waiting_for[downstream] += 1

    def _path(self, start: int, end: int) -> list[int] | None:
        """Returns the tasks on a way downstream, from one task to another that is not done; None without a way."""
        if end not in self._unsettled:
            return None
        came_from = {start: start}
        reached = [start]
        while reached:
            number = reached.pop()
            if number == end:
                path = [end]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            for downstream in self._downstream.get(number, ()):
                if downstream in self._unsettled and downstream not in came_from:
                    came_from[downstream] = number
                    reached.append(downstream)
        return None

    def _give_up_downstream(self, task: Task) -> list[Task]:
        given_up = []
        reached = [task.task_id]
        while reached:
            for downstream in self._downstream.get(reached.pop(), ()):
                if downstream in self._unsettled:
                    self._unsettled.discard(downstream)
                    given_up.append(downstream)
                    reached.append(downstream)
        return [self._tasks[task_id] for task_id in sorted(given_up)]

    def release(self, task: Task) -> None:
        """Frees the resources of a task that becomes ready again later."""
        self._release(task)

    def again(self, task: Task, *, holding: bool = False) -> None:
        """Makes a task ready again; `holding` is True if its resources were not released."""
        if holding:
            self._holding.add(task.task_id)
        self._taken.discard(task.task_id)
        self._push(task.task_id)

    def give_up(self) -> list[Task]:
        """Gives up all tasks that are not done, failed or given up yet, and returns them in order."""
        given_up = [self._tasks[task_id] for task_id in sorted(self._unsettled)]
        self._unsettled.clear()
        self._ready.clear()
        self._ready_of.clear()
        self._parked.clear()
        return given_up

    def _fill(self, task_ids: Iterable[int]) -> None:
        """Makes these tasks ready, and no others."""
        self._ready.clear()
        self._ready_of.clear()
        for task_id in sorted(task_ids):  # a sorted list is a heap
            self._heap_of(task_id).append(task_id)

    def _push(self, task_id: int) -> None:
        heapq.heappush(self._heap_of(task_id), task_id)

    def _heap_of(self, task_id: int) -> list[int]:
        label = self._tasks[task_id].job_label
        return self._ready_of.setdefault(label, []) if label in self._consecutive else self._ready

    def _release(self, task: Task) -> int:
        need = self._needs.get(task.job_label)
        if need is None:
            return 0
        for name, count in need.items():
            self._free[name] += count
        # Of each job, makes only as many tasks ready as fit now. If all parked tasks became ready, each release would
        # cost time in proportion to their number, as `pop` would park them again.
        moved = 0
        for label, parked in self._parked.items():
            for _ in range(min(self._fitting(self._needs[label]), len(parked))):
                heapq.heappush(self._ready, heapq.heappop(parked))
                moved += 1
        return moved

    def _fitting(self, need: Mapping[str, int]) -> int:
        """Returns the number of runs with this need that the free resources allow."""
        return min(self._free[name] // count if count else len(self._tasks) for name, count in need.items())

    def _check_needs(self) -> None:
        for label in {task.job_label for task in self._tasks.values()} & set(self._needs):
            for name, count in self._needs[label].items():
                if name not in self._free:
                    message = (
                        f"{label} needs the resource {name!r}, which the graph does not have; add it to `resources`"
                    )
                    raise InvalidRequestError(message)
                if count > self._free[name]:
                    message = f"{label} needs {count} of the resource {name!r}, but the graph has {self._free[name]}"
                    raise InvalidRequestError(message)
