"""A build that is half done, for displays of progress."""

from __future__ import annotations

from collections.abc import Iterator

from databuild.v1 import events_pb2 as ev
from databuild.v1.plan_pb2 import Task

BUILD = "20261123T095142Z-7k3f9q"
JOB = "//examples/flights/with/a/long/path:daily_flights"


def events(*, tasks: int = 40, completed: int = 10, running: int = 3, failed: int = 1) -> Iterator[ev.BuildEvent]:
    """Returns the events of a build that is half done."""
    received = ev.BuildRequestEvent(status=ev.BUILD_STATUS_RECEIVED, options=ev.BuildOptions(jobs=4))
    yield ev.BuildEvent(build_request=received)
    graph = ev.JobGraphEvent(tasks=[Task(task_id=n + 1, job_label=JOB) for n in range(tasks)], total_tasks=tasks)
    yield ev.BuildEvent(job_graph=graph)
    yield ev.BuildEvent(build_request=ev.BuildRequestEvent(status=ev.BUILD_STATUS_EXECUTING))
    for number in range(1, completed + failed + running + 1):
        statuses = [ev.JOB_STATUS_RUNNING]
        if number <= completed:
            statuses.append(ev.JOB_STATUS_COMPLETED)
        elif number <= completed + failed:
            statuses.append(ev.JOB_STATUS_FAILED)
        for status in statuses:
            run = ev.JobEvent(job_run_id=f"{BUILD}.{number}.1", task_id=number, job_label=JOB, status=status)
            run.duration_seconds = 10.0 if status == ev.JOB_STATUS_COMPLETED else 0.0
            yield ev.BuildEvent(job=run)
