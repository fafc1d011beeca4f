"""The job graph of a build, with the status of each task."""

from __future__ import annotations

from databuild.event_log.reads import BuildReads
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv


def build_graph(reader: BuildReads, build: BuildRecord) -> sv.BuildGraph:
    """Returns the job graph of a build. It has no tasks until planning has completed."""
    build_request_id = build.build_request_id
    runs = _newest_runs(reader, build_request_id)
    graph = sv.BuildGraph(build_request_id=build_request_id)
    for event in _job_graph_events(reader, build):
        for task in event.tasks:
            run = runs.get(task.task_id)
            graph.tasks.add(
                task_id=task.task_id,
                job_label=task.job_label,
                outputs=[output.str for output in task.config.outputs],
                upstream_task_ids=task.upstream_task_ids,
                status=statuses.JOB.message_name(run.status) if run else None,
                job_run_id=run.job_run_id if run else "",
            )
    return graph


def _newest_runs(reader: BuildReads, build_request_id: str) -> dict[int, JobRunRecord]:
    runs = read_rows(
        lambda after, limit: reader.job_runs(build_request_id, after=after, limit=limit),
        key=lambda run: run.number,
        start=0,
    )
    return {run.task_id: run for run in runs}


def _job_graph_events(reader: BuildReads, build: BuildRecord) -> list[ev.JobGraphEvent]:
    """Returns the events that record the job graph. A large job graph takes several, one after another."""
    events = read_rows(
        lambda after, limit: reader.events(build.build_request_id, after_sequence=after, limit=limit),
        key=lambda event: event.sequence,
        start=0,
    )
    job_graphs: list[ev.JobGraphEvent] = []
    tasks = 0
    for event in events:
        if event.HasField("job_graph"):
            job_graphs.append(event.job_graph)
            tasks += len(event.job_graph.tasks)
            if tasks >= event.job_graph.total_tasks:
                break
    return job_graphs
