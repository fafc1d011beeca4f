"""What the API answers, drawn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from databuild.drawing.job_graph import draw_job_graph
from databuild.drawing.lineage import Step, draw_lineage
from databuild.drawing.runs import DrawnRun
from databuild.drawing.timeline import draw_timeline
from databuild.service.dashboard.formats import in_address
from databuild.service.partitions.pictures import drawn_state, drawn_tasks
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

_STATES: Final = {
    pt.PARTITION_STATUS_AVAILABLE: "available",
    pt.PARTITION_STATUS_DELEGATED: "available",
    pt.PARTITION_STATUS_FAILED: "failed",
    pt.PARTITION_STATUS_BUILDING: "building",
}


def job_graph(tasks: Collection[sv.BuildGraphTask]) -> str:
    """Draws the job graph of a build; nothing where it has no tasks."""
    if not tasks:
        return ""
    drawn = drawn_tasks(tasks, lambda task: log_address(task.job_run_id) if task.job_run_id else "")
    jobs = {task.job_label: f"/job?label={in_address(task.job_label)}" for task in tasks}
    return draw_job_graph(drawn, job_links=jobs)


def timeline(tasks: Collection[sv.BuildGraphTask], runs: Sequence[sv.JobRun], now: float) -> str:
    """Draws the job runs of a build over time; nothing where none has started.

    Args:
        tasks: The job graph.
        runs: The job runs.
        now: Until when those are drawn that have not ended, in seconds since the epoch.
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
        )
        for run in runs
        if run.HasField("started_time")
    ]
    return draw_timeline(drawn, {task.task_id: task.upstream_task_ids for task in tasks}, now=now) if drawn else ""


def lineage(ref: str, *ways: sv.Lineage | None) -> str:
    """Draws what a partition was made from and what was made from it, as far as asked; nothing where none is known."""
    asked = [way for way in ways if way is not None]
    steps = [Step(edge.input, edge.output, edge.query) for way in asked for edge in way.edges]
    if not steps:
        return ""
    complete = all(way.complete for way in asked)
    return draw_lineage(ref, steps, link=partition_address, complete=complete)


def partition_address(ref: str) -> str:
    """Returns the address of the page of a partition."""
    return f"/partition?ref={in_address(ref)}"


def partition_state(record: pt.PartitionRecord) -> str:
    """Returns the state in which a partition is drawn."""
    return "tainted" if record.tainted else _STATES.get(record.status, "pending")


def log_address(job_run_id: str) -> str:
    """Returns the address of the page of a job run's log."""
    return f"/job_runs/{in_address(job_run_id)}/log"
