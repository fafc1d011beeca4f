"""Events as text for people, and as the canonical lists that two builds are compared by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict

from databuild.cli.display.output import counted, some_of
from databuild.model.lifecycle import build_status_name, job_status_name, partition_status_name
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_MASKED = frozenset(
    {"event_id", "sequence", "time", "duration_seconds", "cpu_seconds", "peak_memory_bytes", "build_request_id"}
)
_RUN_ID = re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+")


_Words = tuple[str, ...]


def event_line(event: ev.BuildEvent) -> str:
    """Returns an event as one line: its number, its time of day, its kind, its status and what it is about."""
    seconds = event.time.seconds
    clock = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{event.time.nanos // 1_000_000:03}"
    kind = event.WhichOneof("event") or ""
    return f"{event.sequence:>6} {clock} {_join(kind, *_WORDS[kind](getattr(event, kind)))}"


def _build_words(build: ev.BuildRequestEvent) -> _Words:
    asked = some_of([ref.str for ref in build.requested])
    warnings = (f"warning: {warning}" for warning in build.warnings)
    return build_status_name(build.status), asked, failure_text(build.failure), *warnings


def _job_graph_words(graph: ev.JobGraphEvent) -> _Words:
    return (f"{len(graph.tasks)} of {counted(graph.total_tasks, 'task')}",)


def _partition_words(partition: ev.PartitionEvent) -> _Words:
    why = pt.Reason.Name(partition.reason).removeprefix("REASON_") if partition.reason else ""
    reason = f"({_join(why, partition.cause)})" if why else ""
    return partition_status_name(partition.status), partition.ref, reason, failure_text(partition.failure)


def _job_words(job: ev.JobEvent) -> _Words:
    return job_status_name(job.status), job.job_run_id, job.job_label, failure_text(job.failure)


def _delegation_words(delegation: ev.DelegationEvent) -> _Words:
    refs = some_of([ref.str for ref in delegation.partitions])
    return f"to {delegation.delegated_to_build_request_id}", delegation.job_label, refs


def _taint_words(taint: ev.TaintEvent) -> _Words:
    refs = some_of([ref.str for ref in taint.partitions])
    return "set" if taint.tainted else "taken away", refs, taint.reason


def _adoption_words(adoption: ev.AdoptionEvent) -> _Words:
    return some_of([ref.str for ref in adoption.partitions]), f"by {adoption.author}", adoption.reason


def _check_words(check: ev.CheckEvent) -> _Words:
    result = check.result
    severity = result.Severity.Name(result.severity).removeprefix("SEVERITY_") if result.severity else ""
    return "passed" if result.passed else "FAILED", severity, result.name, result.ref, result.message


def _cancel_words(request: ev.CancelRequestEvent) -> _Words:
    return request.target_build_request_id, f"by {request.author}" if request.author else ""


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
}


def failure_text(failure: pt.Failure) -> str:
    """Returns why something did not end well, such as `USER: it said no`; empty where nothing is set."""
    if not failure.category:
        return ""
    category = pt.FailureCategory.Name(failure.category).removeprefix("FAILURE_CATEGORY_")
    return f"{category}: {failure.message}"


def _join(*words: str) -> str:
    return "  ".join(word for word in words if word)


def event_json(event: ev.BuildEvent) -> dict[str, Any]:
    """Returns an event as protobuf JSON, with the names of the .proto files."""
    return MessageToDict(event, preserving_proto_field_name=True)


def canonical(events: Iterable[ev.BuildEvent]) -> list[str]:
    """Returns the events of a build such that builds that did the same have equal lists.

    Ids, times, durations and what is measured are masked. The order of what is concurrent is free, so the list is
    sorted.
    """
    return sorted(json.dumps(_masked(event_json(event)), sort_keys=True) for event in events)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _masked(item) for key, item in value.items() if key not in _MASKED}
        for key in ("delegated_to_build_request_id", "retry_of_build_request_id"):
            if key in kept:
                kept[key] = "BUILD"
        return kept
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return _RUN_ID.sub("BUILD", value) if isinstance(value, str) else value
