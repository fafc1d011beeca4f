"""The critical path of a build: the job runs that determined when it ended, each waiting for the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol


class TimedRun(Protocol):
    """What has to be known of a job run; `end` is None while it runs, times are seconds."""

    @property
    def run_id(self) -> str: ...
    @property
    def task_id(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float | None: ...


def critical_path(runs: Sequence[TimedRun], upstream: Mapping[int, Sequence[int]]) -> tuple[str, ...]:
    """Returns the ids of the job runs on the critical path, in the order of time.

    It is found backwards: from the run that ended last, or still runs, to whichever run it waited for longest. That is
    the former attempt of the same task, or of the runs of its upstream tasks the one that ended last; that there was no
    place free to run it is not taken into account.

    Args:
        runs: The job runs of one build that have started.
        upstream: The ids of the tasks that each task waits for.
    """
    if not runs:
        return ()
    by_task: dict[int, list[TimedRun]] = defaultdict(list)
    for run in runs:
        by_task[run.task_id].append(run)
    newest = {task_id: max(of_task, key=lambda run: run.attempt) for task_id, of_task in by_task.items()}
    path: dict[str, None] = {}
    run: TimedRun | None = max(runs, key=_ended)
    while run is not None and run.run_id not in path:
        path[run.run_id] = None
        attempt = run.attempt
        waited_for = [former for former in by_task[run.task_id] if former.attempt < attempt] or [
            newest[task_id] for task_id in upstream.get(run.task_id, ()) if task_id in newest
        ]
        run = max(waited_for, key=_ended, default=None)
    return tuple(reversed(path))


def _ended(run: TimedRun) -> tuple[float, str]:
    return (float("inf") if run.end is None else run.end, run.run_id)
