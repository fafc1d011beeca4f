"""The targets of a stream: a job with its partitions and job runs, or a check of a job with its results."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from databuild.exporters.bes import build_event_stream_pb2 as bep

if TYPE_CHECKING:
    from databuild.v1 import plan_pb2

_MAX_LOGS: Final = 20
"""The maximum number of logs of failed runs in a summary."""

_RANKS: Final[tuple[bep.TestStatus, ...]] = (
    bep.NO_STATUS,
    bep.PASSED,
    bep.INCOMPLETE,
    bep.REMOTE_FAILURE,
    bep.TIMEOUT,
    bep.FAILED,
)
"""Statuses, from the least to the most important."""


class Target:
    """The facts about a job or a check that its stream has not sent yet, and those that its summary needs.

    Attributes:
        label: The label.
        kind: The kind of target.
        runs: The number of runs: tasks of the job, or results of the check.
        outputs: The number of partitions that the build produces with the job.
        available: How many of them are available.
        executed: The number of attempts that ran.
        cpu_seconds: The CPU time of all attempts.
        failed: True if a partition or a run has failed for good, as far as is known.
        fault: The reason of the newest failure.
        completed: True once the completion was sent.
        summarized: True if a summary was announced.
        first: The start of the first attempt in nanoseconds since the epoch, if one has run.
        last: The end of the last attempt.
        files: Files that are in no set yet.
        file_sets: The sets of files that were sent.
    """

    def __init__(self, label: str, kind: str) -> None:
        self.label = label
        self.kind = kind
        self.runs = 0
        self.outputs = 0
        self.available = 0
        self.executed = 0
        self.cpu_seconds = 0.0
        self.failed = False
        self.fault = ""
        self.completed = False
        self.summarized = False
        self.first = sys.maxsize
        self.last = 0
        self.files: list[bep.File] = []
        self.file_sets: list[str] = []
        self._newest: dict[int, bep.TestStatus] = {}
        self._retried = False
        self._attempts = 0
        self._seconds = 0.0
        self._failed_logs: list[bep.File] = []

    def add_result(
        self, run: int, attempt: int, status: bep.TestStatus, start: int, end: int, seconds: float = 0.0
    ) -> None:
        """Counts an attempt at a run. Its start and end are in nanoseconds since the epoch."""
        if attempt > 1:
            self._retried = True
        self._attempts = max(self._attempts, attempt)
        self.executed += 1
        self._seconds += seconds
        if status == bep.PASSED:
            self._newest.pop(run, None)
        else:
            self._newest[run] = status
        self.first = min(self.first, start)
        self.last = max(self.last, end)

    def add_failed_logs(self, logs: Sequence[bep.File]) -> None:
        self._failed_logs.extend(logs[: _MAX_LOGS - len(self._failed_logs)])

    @property
    def made(self) -> bool:
        """True if all partitions are available."""
        return self.available >= self.outputs

    def summary(self) -> bep.TestSummary:
        nothing = bep.PASSED if self.executed else bep.NO_STATUS
        status = max(self._newest.values(), key=_RANKS.index, default=nothing)
        if status == bep.PASSED and self._retried:
            status = bep.FLAKY
        summary = bep.TestSummary(
            overall_status=status,
            total_run_count=self.executed,
            run_count=self.runs,
            attempt_count=self._attempts,
            shard_count=1,
            failed=self._failed_logs,
        )
        if self.executed:
            summary.first_start_time.FromNanoseconds(self.first)
            summary.last_stop_time.FromNanoseconds(self.last)
        summary.total_run_duration.FromNanoseconds(int(self._seconds * 1e9))
        return summary


class Targets:
    """The targets of a stream, by label, and the target and run of each task of the job graph."""

    def __init__(self) -> None:
        self.by_label: dict[str, Target] = {}
        self._in_order: list[Target] = []
        self._indexes: dict[str, int] = {}
        # Numbers, not objects, since a job graph may have a million tasks. Tasks are numbered from 1.
        self._target_of_task = array("I", [0])
        self._run_of_task = array("I", [0])

    def get(self, label: str, kind: str) -> Target:
        """Returns the target of a label, which may be new."""
        target = self.by_label.get(label)
        if target is None:
            target = self.by_label[label] = Target(label, kind)
            self._indexes[label] = len(self._in_order)
            self._in_order.append(target)
        return target

    def add_task(self, task: plan_pb2.Task, kind: str) -> Target:
        """Adds a task of the job graph, and returns its target."""
        target = self.get(task.job_label, kind)
        target.runs += 1
        target.outputs += len(task.config.outputs)
        while len(self._target_of_task) <= task.task_id:
            self._target_of_task.append(0)
            self._run_of_task.append(0)
        self._target_of_task[task.task_id] = self._indexes[task.job_label]
        self._run_of_task[task.task_id] = target.runs
        return target

    def run_of(self, task_id: int) -> tuple[Target, int] | None:
        """Returns the target of a task and the number of its run; None if the job graph does not have it."""
        if not 0 < task_id < len(self._run_of_task) or not self._run_of_task[task_id]:
            return None
        return self._in_order[self._target_of_task[task_id]], self._run_of_task[task_id]

    def tasks(self) -> int:
        """Returns the number of tasks of the job graph so far."""
        return sum(1 for run in self._run_of_task if run)
