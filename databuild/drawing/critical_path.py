"""The critical path of a build: the job runs that determined when it ended, each waiting for the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from databuild.drawing.runs import DrawnRun


def critical_path(runs: Sequence[DrawnRun], upstream: Mapping[int, Sequence[int]]) -> tuple[str, ...]:
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
    by_task: dict[int, list[DrawnRun]] = defaultdict(list)
    for run in runs:
        by_task[run.task_id].append(run)
    newest = {task_id: max(of_task, key=lambda run: run.attempt) for task_id, of_task in by_task.items()}
    path: dict[str, None] = {}
    waiting: DrawnRun | None = max(runs, key=_ended)
    while waiting is not None and waiting.run_id not in path:
        path[waiting.run_id] = None
        waiting = max(_waited_for(waiting, by_task, newest, upstream), key=_ended, default=None)
    return tuple(reversed(path))


def _waited_for(
    run: DrawnRun,
    by_task: Mapping[int, Sequence[DrawnRun]],
    newest: Mapping[int, DrawnRun],
    upstream: Mapping[int, Sequence[int]],
) -> Sequence[DrawnRun]:
    former = [other for other in by_task[run.task_id] if other.attempt < run.attempt]
    return former or [newest[task_id] for task_id in upstream.get(run.task_id, ()) if task_id in newest]


def _ended(run: DrawnRun) -> tuple[float, str]:
    return (float("inf") if run.end is None else run.end, run.run_id)
