"""The job graph of a build, and the graph by job, as SVG files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from databuild.drawing.job_graph import DrawnTask, draw_job_graph
from databuild.drawing.states import state_of
from databuild.drawing.style import STYLE
from databuild.graph.graph_rendering import graph_as_svg
from databuild.model import statuses
from databuild.model.graph_messages import graph_from_message
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

STYLE_SOURCE: Final = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""The source that a Content-Security-Policy needs to allow the style sheet inside a picture."""


def graph_picture(graph: sv.BuildGraph) -> str:
    """Draws a job graph, with the status of each task."""
    return draw_job_graph(drawn_tasks(graph.tasks), title=f"Job graph of {graph.build_request_id}", style=True)


def _whole_graph_picture(graph: sv.Graph) -> str:
    return graph_as_svg(graph_from_message(graph))


PICTURES: Final[Mapping[str, Callable[[Any], str]]] = {
    "GetBuildGraph": graph_picture,
    "GetGraph": _whole_graph_picture,
}
"""The drawing of the answer of each RPC that has one."""


def drawn_tasks(
    tasks: Iterable[sv.BuildGraphTask], link: Callable[[sv.BuildGraphTask], str] = lambda _task: ""
) -> list[DrawnTask]:
    """Converts tasks for drawing.

    Args:
        tasks: The tasks.
        link: Returns the URL that the node of a task links to; empty for no link.
    """
    return [
        DrawnTask(
            task.task_id,
            task.job_label,
            tuple(task.outputs),
            tuple(task.upstream_task_ids),
            drawn_state(task.status),
            link(task),
        )
        for task in tasks
    ]


def drawn_state(status: ev.JobStatus) -> str:
    """Returns the state in which a job run or its task is drawn; an unset status is drawn as not started."""
    return state_of(statuses.JOB.name(status) if status else "")
