"""Configurations of past job runs, from the events of their builds.

Finds the event with a task by exponential and binary search over sequence numbers: a build may have a million events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from databuild.model.job_graph import JobConfig, Task
from databuild.model.job_run_id import parse_job_run_id
from databuild.model.plan_messages import tasks_from_messages
from databuild.model.records import BuildRecord
from databuild.v1 import partition_pb2 as pt
from databuild.v1.events_pb2 import BuildEvent


class BuildEvents(Protocol):
    """Reads builds and their events. `event_log.reads.Reader` fits."""

    def build(self, build_request_id: str) -> BuildRecord | None: ...

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]: ...


class LoggedConfigs:
    """Reads configurations from events; implements `graph.ports.PastConfigs`."""

    def __init__(self, events: BuildEvents) -> None:
        self._events = events
        self._ranges: dict[str, tuple[int, int]] = {}

    def __call__(self, job_run_id: str) -> JobConfig | None:
        if not job_run_id:  # the data was adopted, so it has no job run here
            return None
        task = self.task(job_run_id)
        return task.config if task is not None else None

    def task(self, job_run_id: str) -> Task | None:
        """Returns the task of a job run; None if the first job graph of its build does not have it."""
        build, task_id, _ = parse_job_run_id(job_run_id)
        if build not in self._ranges:
            self._ranges[build] = self._job_graph_range(build)
        start, end = self._ranges[build]

        # The events of a job graph are consecutive, and their tasks are in the order of task ids.
        def is_at_or_after_task(sequence: int) -> bool:
            event = self._event(build, sequence)
            tasks = event.job_graph.tasks if event is not None else ()
            return not tasks or tasks[-1].task_id >= task_id

        part = self._event(build, _first(is_at_or_after_task, start, end))
        for task in part.job_graph.tasks if part is not None else ():
            if task.task_id == task_id:
                return tasks_from_messages([task])[0]
        return None

    def _job_graph_range(self, build: str) -> tuple[int, int]:
        """Returns the sequence numbers of the first event of the job graph and of the last event of the build."""
        record = self._events.build(build)
        if record is None or record.pruned_time:
            return 0, 0

        def is_after_planning(sequence: int) -> bool:
            event = self._event(build, sequence)
            if event is None or event.partition.status != pt.PARTITION_STATUS_SCHEDULED:
                return True
            # A retry schedules its partitions again, with the failed job run as the cause.
            return event.partition.cause.startswith(f"{build}.")

        # A build begins with RECEIVED, a REQUESTED for each partition, and PLANNING. The next events are the SCHEDULED
        # of its plan, and then the job graph.
        start = len(set(record.requested)) + 3
        return _first(is_after_planning, start, record.last_sequence), record.last_sequence

    def _event(self, build: str, sequence: int) -> BuildEvent | None:
        events = self._events.events(build, after_sequence=sequence - 1, limit=1) if sequence > 0 else ()
        return events[0] if events else None


def _first(holds: Callable[[int], bool], start: int, end: int) -> int:
    """Returns the first number for which a condition holds; it must hold for all that follow.

    Calls `holds` O(log n) times, where n is the distance of the result from the start.
    """
    step = 1
    before = start - 1
    following = start
    while following < end and not holds(following):
        before, following = following, following + step
        step *= 2
    following = min(following, end)
    while following - before > 1:
        middle = (before + following) // 2
        if holds(middle):
            following = middle
        else:
            before = middle
    return following
