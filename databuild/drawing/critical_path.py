"""Critical path of a build: the chain of job runs that determined its end, each waiting for the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from databuild.drawing.runs import DrawnRun


def critical_path(runs: Sequence[DrawnRun], upstream: Mapping[int, Sequence[int]]) -> tuple[str, ...]:
    """Returns the ids of the job runs on the critical path, in the order of time.

    The path is found backwards, from the run that ended last or still runs. The predecessor of a run is the previous
    attempt at its task, or else the run of its upstream tasks that ended last. Waits for a free slot are ignored.

    Args:
        runs: The job runs of one build that have started.
        upstream: The ids of the upstream tasks of each task.
    """
    if not runs:
        return ()
    by_task: dict[int, list[DrawnRun]] = defaultdict(list)
    for run in runs:
        by_task[run.task_id].append(run)
    newest = {task_id: max(task_runs, key=lambda run: run.attempt) for task_id, task_runs in by_task.items()}
    path: dict[str, None] = {}
    current: DrawnRun | None = max(runs, key=_end)
    while current is not None and current.run_id not in path:
        path[current.run_id] = None
        current = max(_predecessors(current, by_task, newest, upstream), key=_end, default=None)
    return tuple(reversed(path))


def _predecessors(
    run: DrawnRun,
    by_task: Mapping[int, Sequence[DrawnRun]],
    newest: Mapping[int, DrawnRun],
    upstream: Mapping[int, Sequence[int]],
) -> Sequence[DrawnRun]:
    previous_attempts = [other for other in by_task[run.task_id] if other.attempt < run.attempt]
    return previous_attempts or [newest[task_id] for task_id in upstream.get(run.task_id, ()) if task_id in newest]


def _end(run: DrawnRun) -> tuple[float, str]:
    return (float("inf") if run.end is None else run.end, run.run_id)
