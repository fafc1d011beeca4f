"""The state of each task of a build, and an estimate of the time until all of them have ended.

The estimate is the lower bound of list scheduling (R. L. Graham, 1969), the larger of two numbers: the remaining work
divided by the number of slots, and the longest chain of tasks that depend on each other. The duration of a task is the
median of the last completed runs of its job. This module knows neither terminals nor event logs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Final

from databuild.model.lifecycle import JOB_ENDS
from databuild.model.records import JobRunRecord
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev

RUNS_PER_JOB: Final = 20
"""The maximum number of runs of a job whose durations are used."""


class StateCounts(NamedTuple):
    """The number of tasks in each state. A task that is retried counts as waiting or running, not as failed."""

    completed: int
    failed: int
    running: int
    waiting: int
    skipped: int
    cancelled: int

    @property
    def total(self) -> int:
        return sum(self)


class TaskStates:
    """Tracks the tasks of one build by its events.

    Events arrive on one thread; every other method may be called on another thread at the same time.

    Args:
        clock: Returns a time in seconds, on any scale.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = 0
        self._slots = 0
        self._max_running = 1
        # By task id. Other threads copy a dictionary before they iterate over it, which takes one step.
        self._jobs: dict[int, str] = {}
        self._upstream: dict[int, tuple[int, ...]] = {}
        self._states: dict[int, int] = {}
        self._started: dict[int, float] = {}
        # By job status.
        self._numbers: Counter[int] = Counter()
        # Durations by job label, in seconds, oldest first: of runs before this build, and of runs of this build.
        self._earlier: dict[str, Sequence[float]] = {}
        self._own: dict[str, list[float]] = {}

    @property
    def planned(self) -> bool:
        """True once the whole job graph is known and has at least one task."""
        return 0 < self._total <= len(self._jobs)

    @property
    def jobs(self) -> Sequence[str]:
        """The labels of the jobs that have a task, sorted."""
        return sorted(set(self._jobs.copy().values()))

    def add(self, event: ev.BuildEvent) -> None:
        """Adds the next event of the build."""
        kind = event.WhichOneof("event")
        if kind == "job":
            self._add_job(event.job)
        elif kind == "job_graph":
            self._total = event.job_graph.total_tasks
            for task in event.job_graph.tasks:
                self._jobs[task.task_id] = task.job_label
                self._upstream[task.task_id] = tuple(task.upstream_task_ids)
        elif kind == "build_request" and event.build_request.status == ev.BUILD_STATUS_RECEIVED:
            self._slots = event.build_request.options.jobs

    def _add_job(self, job: ev.JobEvent) -> None:
        if job.task_id in self._states:
            self._numbers[self._states[job.task_id]] -= 1
        self._states[job.task_id] = job.status
        self._numbers[job.status] += 1
        if job.status == ev.JOB_STATUS_RUNNING:
            self._started[job.task_id] = self._clock()
            self._max_running = max(self._max_running, len(self._started))
            return
        self._started.pop(job.task_id, None)
        if job.status == ev.JOB_STATUS_COMPLETED:
            self._own.setdefault(job.job_label, []).append(job.duration_seconds)

    def add_earlier_runs(self, job_label: str, runs: Iterable[JobRunRecord]) -> None:
        """Adds the runs of a job before this build, newest first."""
        self._earlier[job_label] = [run.duration_seconds for run in runs if run.status == "COMPLETED"][::-1]

    def counts(self) -> StateCounts:
        number = self._numbers.copy()
        tasks_with_state = sum(number.values())
        return StateCounts(
            completed=number[ev.JOB_STATUS_COMPLETED],
            failed=number[ev.JOB_STATUS_FAILED],
            running=number[ev.JOB_STATUS_RUNNING],
            # The first event of a task comes when it is scheduled, which is later than the job graph.
            waiting=number[ev.JOB_STATUS_SCHEDULED] + max(self._total - tasks_with_state, 0),
            skipped=number[ev.JOB_STATUS_SKIPPED],
            cancelled=number[ev.JOB_STATUS_CANCELLED],
        )

    def remaining_seconds(self) -> float | None:
        """Estimates the time until all tasks have ended, in seconds; None without the duration of any job.

        A job without a duration gets the mean of the others. Takes time linear in the number of tasks.
        """
        durations = self._durations()
        if not durations:
            return None
        mean = fmean(durations.values())
        states, started, now = self._states.copy(), self._started.copy(), self._clock()
        chains: dict[int, float] = {}
        work = longest_chain = 0.0
        for task, upstream in self._upstream.copy().items():  # the job graph lists upstream tasks first
            state = states.get(task)
            if state in JOB_ENDS:
                continue
            remaining = durations.get(self._jobs[task], mean)
            if state == ev.JOB_STATUS_RUNNING:
                remaining = max(remaining - (now - started.get(task, now)), 0.0)
            chains[task] = remaining + max((chains.get(other, 0.0) for other in upstream), default=0.0)
            work += remaining
            longest_chain = max(longest_chain, chains[task])
        # A request may leave the number of slots to the service; the largest number seen so far then stands for it.
        slots = min(self._slots or self._max_running, max(len(chains), 1))
        return max(longest_chain, work / slots)

    def _durations(self) -> dict[str, float]:
        durations = {}
        for job in {**self._earlier, **self._own}:
            newest = [*self._earlier.get(job, ()), *self._own.get(job, ())[-RUNS_PER_JOB:]][-RUNS_PER_JOB:]
            if newest:
                durations[job] = median(newest)
        return durations
