"""The configurations of past job runs, as the events of their builds have them.

It reads events one by one, since a job graph may stand behind a million others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from databuild.model.job_graph import JobConfig
from databuild.model.plan_messages import tasks_from_messages
from databuild.model.records import BuildRecord
from databuild.v1 import partition_pb2 as pt
from databuild.v1.events_pb2 import BuildEvent


class BuildEvents(Protocol):
    """Reads builds and their events (the reader of the event log fits)."""

    def build(self, build_request_id: str) -> BuildRecord | None:
        """Returns one build."""
        ...

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns events of one build, in order."""
        ...


class EventConfigs:
    """Fits `PastConfigs`."""

    def __init__(self, events: BuildEvents) -> None:
        """Takes what reads events."""
        self._events = events
        self._graphs: dict[str, tuple[int, int]] = {}

    def __call__(self, job_run_id: str) -> JobConfig | None:
        """Returns the configuration of a job run; None where the log does not have it any more."""
        build, task_id = _task_of(job_run_id)
        if build not in self._graphs:
            self._graphs[build] = self._graph(build)
        start, end = self._graphs[build]

        def reaches(sequence: int) -> bool:
            event = self._event(build, sequence)
            tasks = event.job_graph.tasks if event is not None else ()
            return not tasks or tasks[-1].task_id >= task_id

        part = self._event(build, _first(reaches, start, end))
        for task in part.job_graph.tasks if part is not None else ():
            if task.task_id == task_id:
                return tasks_from_messages([task])[0].config
        return None

    def _graph(self, build: str) -> tuple[int, int]:
        """Returns the sequence number from which on there is a job graph, and that of the last event."""
        record = self._events.build(build)
        if record is None or record.pruned_time:
            return 0, 0

        def planned(sequence: int) -> bool:
            event = self._event(build, sequence)
            if event is None or event.partition.status != pt.PARTITION_STATUS_SCHEDULED:
                return True
            return event.partition.cause.startswith(f"{build}.")  # before another attempt, and not by planning

        # RECEIVED, what was requested, PLANNING; then what planning has SCHEDULED, which the job graph follows.
        start = len(set(record.requested)) + 3
        return _first(planned, start, record.last_sequence), record.last_sequence

    def _event(self, build: str, sequence: int) -> BuildEvent | None:
        found = self._events.events(build, after_sequence=sequence - 1, limit=1) if sequence > 0 else ()
        return found[0] if found else None


def _task_of(job_run_id: str) -> tuple[str, int]:
    """Returns the build and the task of a job run, which is named after both."""
    build, _, rest = job_run_id.rpartition(".")[0].rpartition(".")
    return (build, int(rest)) if rest.isdecimal() else ("", 0)


def _first(holds: Callable[[int], bool], start: int, end: int) -> int:
    """Returns the first number that something holds for, looking at few; it holds for all that follow."""
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
