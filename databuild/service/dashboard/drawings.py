"""Drawings (SVG) of the responses of the API."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from databuild.drawing.job_graph import draw_job_graph
from databuild.drawing.lineage import Step, draw_lineage
from databuild.drawing.plot import PlottedPoint, draw_plot
from databuild.drawing.runs import DrawnRun
from databuild.drawing.timeline import draw_timeline
from databuild.graph.graph_rendering import graph_as_svg
from databuild.model.graph_messages import graph_from_message
from databuild.model.trends import quantity_text
from databuild.service.dashboard.formats import url_quoted
from databuild.service.partitions.pictures import drawn_state, drawn_tasks
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

_STATES: Final = {
    pt.PARTITION_STATUS_AVAILABLE: "available",
    pt.PARTITION_STATUS_DELEGATED: "available",
    pt.PARTITION_STATUS_FAILED: "failed",
    pt.PARTITION_STATUS_BUILDING: "building",
    pt.PARTITION_STATUS_MISSING: "missing",
    pt.PARTITION_STATUS_FORGOTTEN: "missing",
    pt.PARTITION_STATUS_DELETED: "missing",
}


def job_graph(tasks: Collection[sv.BuildGraphTask]) -> str:
    """Draws the job graph of a build; empty without tasks."""
    if not tasks:
        return ""
    drawn = drawn_tasks(tasks, lambda task: log_address(task.job_run_id) if task.job_run_id else "")
    jobs = {task.job_label: job_address(task.job_label) for task in tasks}
    return draw_job_graph(drawn, job_links=jobs)


def whole_graph(graph: sv.Graph) -> str:
    """Draws a graph by job. Each job leads to its page."""
    return graph_as_svg(graph_from_message(graph), link=job_address, style=False)


def timeline(tasks: Collection[sv.BuildGraphTask], runs: Sequence[sv.JobRun], now: float) -> str:
    """Draws the timeline of a build; empty if no job run has started.

    Args:
        tasks: Tasks of the job graph.
        runs: Job runs of the build.
        now: End of the bars of job runs that have not ended, in seconds since the epoch.
    """
    outputs = {task.task_id: task.outputs[0] if task.outputs else "" for task in tasks}
    drawn = [
        DrawnRun(
            run.job_run_id,
            run.task_id,
            run.job_label,
            outputs.get(run.task_id, ""),
            drawn_state(run.status),
            run.started_time.ToNanoseconds() / 1e9,
            run.ended_time.ToNanoseconds() / 1e9 if run.HasField("ended_time") else None,
            run.attempt,
            log_address(run.job_run_id),
            _waited(run, now),
            run.machine or run.executor,
        )
        for run in runs
        if run.HasField("started_time")
    ]
    return draw_timeline(drawn, {task.task_id: task.upstream_task_ids for task in tasks}, now=now) if drawn else ""


def _waited(run: sv.JobRun, now: float) -> float:
    """Returns the seconds for which a job run has waited for a machine of its engine; 0.0 without an engine."""
    if not run.executor:
        return 0.0
    ended = run.ended_time if run.HasField("ended_time") else None
    placed = run.placed_time if run.HasField("placed_time") else ended
    until = placed.ToNanoseconds() / 1e9 if placed is not None else now
    waited: float = until - run.started_time.ToNanoseconds() / 1e9
    return max(waited, 0.0)


def lineage(ref: str, *directions: sv.Lineage) -> str:
    """Draws directions of the lineage of a partition; empty without edges."""
    steps = [Step(edge.input, edge.output, edge.query) for direction in directions for edge in direction.edges]
    if not steps:
        return ""
    complete = all(direction.complete for direction in directions)
    return draw_lineage(ref, steps, link=partition_address, complete=complete)


def job_address(label: str) -> str:
    """Returns the path of the page of a job."""
    return f"/job?label={url_quoted(label)}"


def partition_address(ref: str) -> str:
    """Returns the path of the page of a partition."""
    return f"/partition?ref={url_quoted(ref)}"


def partition_state(record: pt.PartitionRecord) -> str:
    """Returns the state of a partition that selects its colour."""
    return "tainted" if record.tainted else _STATES.get(record.status, "pending")


def log_address(job_run_id: str) -> str:
    """Returns the path of the log page of a job run."""
    return f"/job_runs/{url_quoted(job_run_id)}/log"


def plots(trends: Iterable[sv.Trend], ref: str = "") -> list[str]:
    """Draws the trends with more than one value.

    Outliers, the newest point and that of the given partition lead to the pages of their partitions.

    The other points are no links: each would be a stop of the Tab key.
    """
    return [_plot(trend, ref) for trend in trends if len(trend.points) > 1]


def _plot(trend: sv.Trend, ref: str) -> str:
    newest = trend.points[-1].ref
    points = [
        PlottedPoint(
            point.date,
            point.position,
            point.value,
            quantity_text(point.value, trend.unit),
            point.ref,
            point.outlier,
            partition_address(point.ref) if point.outlier or point.ref in {newest, ref} else "",
        )
        for point in trend.points
    ]
    return draw_plot(trend.name, points)
