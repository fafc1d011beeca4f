"""The picture of a build's job graph."""

from __future__ import annotations

import pytest

from databuild.service.partitions.pictures import graph_picture
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv
from tests.support.drawn import of_class, parse, titles


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (ev.JOB_STATUS_UNSPECIFIED, "pending"),
        (ev.JOB_STATUS_SCHEDULED, "pending"),
        (ev.JOB_STATUS_RUNNING, "running"),
        (ev.JOB_STATUS_COMPLETED, "done"),
        (ev.JOB_STATUS_FAILED, "failed"),
        (ev.JOB_STATUS_CANCELLED, "cancelled"),
        (ev.JOB_STATUS_SKIPPED, "skipped"),
    ],
)
def test_the_job_graph_of_a_build_tells_where_its_tasks_stand(status: ev.JobStatus, word: str) -> None:
    task = sv.BuildGraphTask(task_id=1, job_label="//:raw", outputs=["raw/1"], status=status)

    root = parse(graph_picture(sv.BuildGraph(build_request_id="b", tasks=[task])))

    assert root[0].text == "Job graph of b"
    assert titles(of_class(root, "node")) == [f"//:raw: raw/1 ({word})"]
