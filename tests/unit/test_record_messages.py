"""Records and their messages."""

from __future__ import annotations

import pytest

from databuild.model import record_messages
from databuild.model.records import (
    AdoptionRecord,
    BuildPartitionRecord,
    FailureRecord,
    InputVersion,
    JobRunRecord,
    Location,
    Manifest,
    PartitionRecord,
    RemovalRecord,
)

FAILURE = FailureRecord("INFRASTRUCTURE", "no space")
MANIFEST = Manifest("//:job", "code", "both", (InputVersion("raw/1", "v1", query=True),), {"a": "one", "b": "other"})
ADOPTION = AdoptionRecord("adopt-1", "ann", "moved", 1700000000.123456)
LOCATION = Location("file:///data/x", 0, "7.1")
JOB_RUN = JobRunRecord(
    job_run_id="b.1.1",
    build_request_id="b",
    number=3,
    task_id=1,
    job_label="//:job",
    attempt=2,
    status="FAILED",
    scheduled_time=1700000000.25,
    started_time=1700000001.1,
    ended_time=1700000002.2,
    exit_code=0,
    duration_seconds=1.1,
    cpu_seconds=0.9,
    peak_memory_bytes=2**40,
    executor="dask://engine:1",
    log_store="s3://bucket/logs",
    stdout_bytes=5,
    stderr_bytes=0,
    machine="m1",
    placed_time=1700000001.6,
    queued_seconds=0.5,
    worker_id="5f0c1a-2",
    worker_request=3,
    failure=FAILURE,
)
PARTITION = PartitionRecord(
    ref="clean/1",
    status="FAILED",
    build_request_id="b2",
    time=1700000003.75,
    available=True,
    version="v2",
    job_run_id="b.1.1",
    produced_by_build_request_id="b",
    manifest=MANIFEST,
    metadata={"rows": 7, "nested": {"list": [1.5, None]}},
    tainted=True,
    taint_reason="ann: wrong",
    failure=FAILURE,
    claimed_by_build_request_id="b3",
    adoption=ADOPTION,
    location=LOCATION,
    removal=RemovalRecord("m", "ann", "old", 1700000004.25, "DELETED"),
)
BUILD_PARTITION = BuildPartitionRecord(
    ref="clean/1", status="FAILED", task_id=1, reason="MISSING", cause="raw/1", job_run_id="b.1.1", failure=FAILURE
)


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("job_run", JOB_RUN),
        ("job_run", JobRunRecord("b.1.1", "b", 1, 1, "//:job", 1, "SCHEDULED")),
        ("partition", PARTITION),
        ("partition", PartitionRecord("raw/1", "REQUESTED", "b", 1700000000.5, available=False)),
        ("build_partition", BUILD_PARTITION),
        ("build_partition", BuildPartitionRecord("raw/1", "REQUESTED", 0)),
        ("manifest", MANIFEST),
        ("adoption", ADOPTION),
    ],
)
def test_records_survive_their_message(kind: str, record: object) -> None:
    message = getattr(record_messages, f"{kind}_to_message")(record)

    assert getattr(record_messages, f"{kind}_from_message")(message) == record


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("job_run", JOB_RUN._replace(exit_code=1)),
        ("partition", PARTITION),
        ("build_partition", BUILD_PARTITION),
        ("manifest", MANIFEST),
        ("adoption", ADOPTION),
    ],
)
def test_every_field_of_a_message_is_set(kind: str, record: object) -> None:
    message = getattr(record_messages, f"{kind}_to_message")(record)

    assert {field.name for field, _ in message.ListFields()} == set(message.DESCRIPTOR.fields_by_name)
