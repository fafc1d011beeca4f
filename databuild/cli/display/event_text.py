"""Events as lines of text, as JSON, and as canonical lists by which `events diff` compares two builds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict

from databuild.cli.display.formats import counted, some_of
from databuild.model.enum_names import category_name, reason_name, severity_name
from databuild.model.lifecycle import build_status_name, job_status_name, partition_status_name
from databuild.model.records import UNRECORDED
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

# The fields that differ between two builds even if both did the same.
_MASKED_FIELDS = frozenset(
    {
        "event_id",
        "sequence",
        "time",
        "duration_seconds",
        "cpu_seconds",
        "peak_memory_bytes",
        "build_request_id",
        "worker_id",
        "worker_request",
        "origin",
        "traceparent",
        "bazel_invocation_id",
        "config_calls",
    }
)
_BUILD_REQUEST_ID = re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+")

_Words = tuple[str, ...]


def event_line(event: ev.BuildEvent) -> str:
    """Formats an event as one line: sequence number, time of day (UTC), kind, status and facts of the kind."""
    seconds = event.time.seconds
    # strftime has no milliseconds.
    clock = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{event.time.nanos // 1_000_000:03}"
    kind = event.WhichOneof("event") or ""
    return f"{event.sequence:>6} {clock} {_join(kind, *_WORDS[kind](getattr(event, kind)))}"


def _build_words(build: ev.BuildRequestEvent) -> _Words:
    requested = some_of([ref.str for ref in build.requested])
    warnings = (f"warning: {warning}" for warning in build.warnings)
    return build_status_name(build.status), requested, _failure_text(build.failure), *warnings


def _job_graph_words(graph: ev.JobGraphEvent) -> _Words:
    return (f"{len(graph.tasks)} of {counted(graph.total_tasks, 'task')}",)


def _partition_words(partition: ev.PartitionEvent) -> _Words:
    reason = reason_name(partition.reason) if partition.reason else ""
    reason_words = f"({_join(reason, partition.cause)})" if reason else ""
    return partition_status_name(partition.status), partition.ref, reason_words, _failure_text(partition.failure)


def _job_words(job: ev.JobEvent) -> _Words:
    return job_status_name(job.status), job.job_run_id, job.job_label, _failure_text(job.failure)


def _delegation_words(delegation: ev.DelegationEvent) -> _Words:
    refs = some_of([ref.str for ref in delegation.partitions])
    return f"to {delegation.delegated_to_build_request_id}", delegation.job_label, refs


def _taint_words(taint: ev.TaintEvent) -> _Words:
    refs = some_of([ref.str for ref in taint.partitions])
    return "set" if taint.tainted else "removed", refs, taint.reason


def _adoption_words(adoption: ev.AdoptionEvent) -> _Words:
    return some_of([ref.str for ref in adoption.partitions]), f"by {adoption.author}", adoption.reason


def _check_words(check: ev.CheckEvent) -> _Words:
    result = check.result
    severity = severity_name(result.severity) if result.severity else ""
    return "passed" if result.passed else "FAILED", severity, result.name, result.ref, result.message


def _placement_words(placement: ev.PlacementEvent) -> _Words:
    if not placement.started:
        return "accepted", placement.job_run_id, f"by {placement.executor}"
    machine = f"on {placement.machine}" if placement.machine else ""
    return "started", placement.job_run_id, machine, f"after {placement.queued_seconds:.1f} s"


def _cancel_words(request: ev.CancelRequestEvent) -> _Words:
    return request.target_build_request_id, f"by {request.author}" if request.author else ""


def _missing_words(missing: ev.MissingEvent) -> _Words:
    return some_of([lost.ref for lost in missing.partitions]), f"noticed for {missing.author}" if missing.author else ""


def _removal_words(removal: ev.RemovalEvent) -> _Words:
    refs = some_of([removed.ref for removed in removal.partitions])
    state = "completed" if removal.completed else ""
    return partition_status_name(removal.kind), state, refs, f"by {removal.author}", removal.reason


def _late_words(late: ev.LateResultEvent) -> _Words:
    runs = some_of([run.job_run_id for run in late.job_runs])
    refs = some_of([ref.str for ref in late.partitions])
    return late.target_build_request_id, f"job runs {runs}" if runs else "", f"partitions {refs}" if refs else ""


_WORDS: dict[str, Callable[[Any], _Words]] = {
    "build_request": _build_words,
    "job_graph": _job_graph_words,
    "partition": _partition_words,
    "job": _job_words,
    "delegation": _delegation_words,
    "taint": _taint_words,
    "adoption": _adoption_words,
    "check": _check_words,
    "cancel_request": _cancel_words,
    "late_result": _late_words,
    "placement": _placement_words,
    "missing": _missing_words,
    "removal": _removal_words,
}


def _failure_text(failure: pt.Failure) -> str:
    """Formats a failure, such as `USER: exit code 1`; empty if the message is not set."""
    if not failure.category:
        return ""
    return f"{category_name(failure.category)}: {failure.message}"


def _join(*words: str) -> str:
    return "  ".join(word for word in words if word)


def event_json(event: ev.BuildEvent) -> dict[str, Any]:
    """Converts an event to protobuf JSON (https://protobuf.dev/programming-guides/json/), with snake_case names."""
    return MessageToDict(event, preserving_proto_field_name=True)


def canonical(events: Iterable[ev.BuildEvent]) -> list[str]:
    """Returns the events of a build as a list that is equal for two builds that did the same.

    Ids, times, durations and measurements are masked. The list is sorted, since the order of concurrent events varies.
    """
    return sorted(json.dumps(_masked(event_json(event)), sort_keys=True) for event in events)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        masked = {key: _masked(item) for key, item in value.items() if key not in _MASKED_FIELDS}
        for key in ("delegated_to_build_request_id", "retry_of_build_request_id"):
            if key in masked:
                masked[key] = "BUILD"
        # Of a file, the version of its store includes the time of its modification.
        if "location" in masked:
            masked["location"].pop("version", None)
        return masked
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith(UNRECORDED):  # ends with a version of the store as well
        return value.rpartition(":")[0]
    # Generated ids also occur within other strings, such as job run ids and messages.
    return _BUILD_REQUEST_ID.sub("BUILD", value)
