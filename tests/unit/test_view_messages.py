"""Conversion of answers of the service to messages and back."""

from __future__ import annotations

import pytest

from databuild.model import view_messages
from databuild.model.job_graph import AbsentInput, PlannedPartition
from databuild.model.planning import PlanningProgress
from databuild.model.pruning import Pruned, PrunedBuild
from databuild.model.records import BuildRecord, FailureRecord, JobRunRecord, LogSizes, PartitionRecord
from databuild.model.views import (
    BuildView,
    DownstreamPage,
    DownstreamPartition,
    Explanation,
    JobStatistics,
    Lineage,
    LineageEdge,
    LogChunk,
    LogFault,
    PartitionView,
    StorageUsage,
    Verification,
)
from databuild.v1 import partition_pb2 as pt

BUILD = BuildView(
    BuildRecord(
        build_request_id="b",
        status="FAILED",
        graph_label="//:g",
        requested=("raw/1", "raw/2"),
        received_time=1700000000.5,
        updated_time=1700000009.25,
        last_sequence=40,
        total_tasks=7,
        jobs_completed=1,
        jobs_failed=2,
        partitions_available=3,
        partitions_delegated=4,
        partitions_failed=5,
        retry_of_build_request_id="a",
        cancel_requested_by="ann",
        failure=FailureRecord("USER", "2 tasks failed"),
        pruned_time=1700000100.125,
    ),
    queue_position=6,
    waiting_for=("memory",),
    dead_reason="its process ended",
    planning=PlanningProgress(levels=1, partitions=2, config_calls=3, configuring_jobs=("//:job",)),
    warnings=("odd",),
)
PARTITION = PartitionView(
    "raw/1",
    "//:job",
    PartitionRecord("raw/1", "AVAILABLE", "b", 1700000000.5, available=True, version="v"),
    (JobRunRecord("b.1.1", "b", 1, 1, "//:job", 1, "COMPLETED"),),
)
PLANNED = PlannedPartition("raw/1", "//:job", 1, pt.REASON_MISSING, "raw/0", "v", "a", requested=True)
EXPLANATION = Explanation(PARTITION, PLANNED, 3, (AbsentInput("raw/3", "//:job", "raw/1"),), ("odd",))
PRUNED = Pruned((PrunedBuild("b", "COMPLETED", 1700000000.5, 9),), 9, 900, 1, 100, 800, more=True)


DOWNSTREAM = DownstreamPage(
    (
        DownstreamPartition(
            "clean/1", 2, "raw/1", "v", query=True, status="AVAILABLE", available=True, tainted=True, input_changed=True
        ),
    ),
    "1",
    truncated=True,
)


@pytest.mark.parametrize(
    ("kind", "view"),
    [
        ("build", BUILD),
        ("build", BuildView(BuildRecord("b", "RECEIVED", "//:g", ("raw/1",), 1700000000.5, 1700000000.5, 1))),
        ("partition_view", PARTITION),
        ("partition_view", PartitionView("raw/1", "", None, ())),
        ("explanation", EXPLANATION),
        ("log_chunk", LogChunk(b"text", 3, ended=True, path="/logs/1", total_bytes=7)),
        ("pruned", PRUNED),
        ("pruned", Pruned()),
        ("downstream", DOWNSTREAM),
        ("downstream", DownstreamPage(())),
    ],
)
def test_answers_survive_their_message(kind: str, view: object) -> None:
    message = getattr(view_messages, f"{kind}_to_message")(view)

    assert getattr(view_messages, f"{kind}_from_message")(message) == view


@pytest.mark.parametrize(
    ("kind", "view"),
    [
        ("build", BUILD),
        ("partition_view", PARTITION),
        ("explanation", EXPLANATION),
        ("lineage", Lineage((LineageEdge("raw/1", "clean/1", "v", query=True),), complete=True)),
        ("job", JobStatistics("//:job", ("raw/{n}",), ("daily",), 9, 8, 1, 1.5, 2.5, 1700000000.5)),
        ("log_chunk", LogChunk(b"text", 3, ended=True, path="/logs/1", total_bytes=7)),
        ("storage", StorageUsage(1, 2, LogSizes(3, 4, 5, 1), 1700000000.5)),
        ("pruned", PRUNED),
        ("downstream", DOWNSTREAM),
    ],
)
def test_every_field_of_a_message_is_set(kind: str, view: object) -> None:
    message = getattr(view_messages, f"{kind}_to_message")(view)

    assert {field.name for field, _ in message.ListFields()} == set(message.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize("sizes", [None, LogSizes(builds=3, pruned_builds=1, events=40, bytes=1000)])
def test_storage_survives_its_message(sizes: LogSizes | None) -> None:
    room = StorageUsage(event_log_bytes=1000, job_log_bytes=5, sizes=sizes, logs_pruned_before=1700000000.5)
    message = view_messages.storage_to_message(room)

    assert view_messages.storage_from_message(message, counted=sizes is not None) == room


def test_a_verification_survives_its_message() -> None:
    result = Verification(events=9, builds=2, faults=1, reported=(LogFault("b", "no end"),))
    message = view_messages.verification_to_message("v1", result)

    assert view_messages.verification_from_message(message) == result
    assert (message.verification_id, message.running) == ("v1", False)
    assert view_messages.verification_to_message("v1", None).running
