"""The picture of a build's job graph, as a file of its own."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from databuild.drawing.job_graph import DrawnTask, draw_job_graph
from databuild.drawing.states import state_of
from databuild.drawing.style import STYLE
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

STYLE_SOURCE: Final = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""What allows, in a content security policy, the style sheet that stands in a picture."""


def graph_picture(graph: sv.BuildGraph) -> str:
    """Draws the job graph of a build, with where each task stands."""
    tasks = [
        DrawnTask(task.task_id, task.job_label, tuple(task.outputs), tuple(task.upstream_task_ids), _state(task.status))
        for task in graph.tasks
    ]
    return draw_job_graph(tasks, title=f"Job graph of {graph.build_request_id}", style=True)


def _state(status: ev.JobStatus) -> str:
    return state_of(ev.JobStatus.Name(status).removeprefix("JOB_STATUS_") if status else "")
