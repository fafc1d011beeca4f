"""Pictures of what the API tells: the job graph of a build, and its job runs over time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.drawing.job_graph import DrawnTask, draw_job_graph
from databuild.drawing.runs import DrawnRun
from databuild.drawing.states import state_of
from databuild.drawing.style import STYLE
from databuild.drawing.timeline import draw_timeline
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

STYLE_SOURCE: Final = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""What allows, in a content security policy, the style sheet that stands in a picture."""


def _nowhere(_message: object) -> str:
    return ""


def graph_picture(
    graph: sv.BuildGraph,
    *,
    link: Callable[[sv.BuildGraphTask], str] = _nowhere,
    job_links: Mapping[str, str] | None = None,
    style: bool = False,
) -> str:
    """Draws the job graph of a build.

    Args:
        graph: What the API tells of it.
        link: Returns where the node of a task leads to; nothing for nowhere.
        job_links: Where the nodes of jobs lead to, by label, where jobs are drawn instead of tasks.
        style: Whether the style sheet is embedded.
    """
    tasks = [
        DrawnTask(
            task.task_id,
            task.job_label,
            tuple(task.outputs),
            tuple(task.upstream_task_ids),
            _state(task.status),
            link(task),
        )
        for task in graph.tasks
    ]
    return draw_job_graph(tasks, title=f"Job graph of {graph.build_request_id}", job_links=job_links, style=style)


def timeline_picture(
    runs: Iterable[sv.JobRun],
    graph: sv.BuildGraph,
    *,
    now: float,
    link: Callable[[sv.JobRun], str] = _nowhere,
    style: bool = False,
) -> str:
    """Draws the job runs of a build over time.

    Args:
        runs: Its job runs; those that never started are left out.
        graph: Its job graph.
        now: Until when runs that have not ended are drawn, in seconds since the epoch.
        link: Returns where the bar of a job run leads to; nothing for nowhere.
        style: Whether the style sheet is embedded.
    """
    names = {task.task_id: task.outputs[0] for task in graph.tasks if task.outputs}
    upstream = {task.task_id: tuple(task.upstream_task_ids) for task in graph.tasks}
    drawn = [
        DrawnRun(
            run_id=run.job_run_id,
            task_id=run.task_id,
            job_label=run.job_label,
            name=names.get(run.task_id, ""),
            state=_state(run.status),
            start=_seconds(run.started_time),
            end=_seconds(run.ended_time) if run.HasField("ended_time") else None,
            attempt=run.attempt,
            link=link(run),
        )
        for run in runs
        if run.HasField("started_time")
    ]
    return draw_timeline(drawn, upstream, now=now, title=f"Job runs of {graph.build_request_id}", style=style)


def _state(status: ev.JobStatus) -> str:
    return state_of(ev.JobStatus.Name(status).removeprefix("JOB_STATUS_").replace("UNSPECIFIED", ""))


def _seconds(time: Timestamp) -> float:
    return time.ToNanoseconds() / 1e9
