"""The names of statuses, and the ids of job runs, agree with the messages and the lifecycle."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, get_args

import pytest

from databuild.model import lifecycle, statuses
from databuild.model.job_run_id import JobRunId, format_job_run_id, parse_job_run_id
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

KINDS = [
    (statuses.BUILD, statuses.BuildStatus, ev.BuildStatus, lifecycle.BUILD_ENDS),
    (statuses.JOB, statuses.JobStatus, ev.JobStatus, lifecycle.JOB_ENDS),
    (statuses.PARTITION, statuses.PartitionStatus, pt.PartitionStatus, lifecycle.PARTITION_ENDS),
]


@pytest.mark.parametrize(("kind", "names", "message", "ends"), KINDS, ids=lambda value: getattr(value, "prefix", ""))
def test_names_and_numbers_are_those_of_the_messages(
    kind: statuses.StatusEnum[str], names: object, message: Any, ends: Collection[int]
) -> None:
    values = {message.Name(number): number for number in message.values() if number}

    assert {kind.message_name(name): kind.number(name) for name in kind.names} == values
    assert [kind.name(kind.number(name)) for name in kind.names] == list(kind.names)
    assert kind.names == get_args(names)
    assert {kind.number(name) for name in kind.ended} == ends
    assert kind.open | kind.ended == set(kind.names)
    assert kind.open.isdisjoint(kind.ended)


@pytest.mark.parametrize("number", [-1, 0, 8])
def test_an_unknown_status_raises(number: int) -> None:
    with pytest.raises(ValueError, match="BUILD_STATUS_"):
        statuses.BUILD.name(number)
    with pytest.raises(ValueError, match="DONE"):
        statuses.JOB.number("DONE")


def test_the_parts_of_an_id_come_back() -> None:
    job_run_id = format_job_run_id("20261123T095142Z-7k3f9q", 12, 3)

    assert job_run_id == "20261123T095142Z-7k3f9q.12.3"
    assert parse_job_run_id(job_run_id) == JobRunId("20261123T095142Z-7k3f9q", 12, 3)


@pytest.mark.parametrize("text", ["", "b", "b.1", "b.x.1", "b.1."])
def test_an_invalid_id_raises(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_job_run_id(text)
