"""Single lines about a running build: its state, and events that are printed as soon as they happen."""

from __future__ import annotations

from databuild.cli.display.formats import counted, some_of
from databuild.model.build_counts import BuildCounts
from databuild.model.enum_names import category_name
from databuild.v1 import events_pb2 as ev


def state_line(counts: BuildCounts) -> str:
    """Returns the state of a build, such as `executing: 3 of 7 tasks completed, 2 running`."""
    phase = counts.phase.replace("_", " ")
    if counts.phase == "planning" and counts.planning is not None:
        return f"planning: {counts.planning.text()}"
    if not (counts.total or counts.completed or counts.failed or counts.running):
        return phase
    line = f"{phase}: {counts.completed} of {counted(counts.total, 'task')} completed"
    if counts.failed:
        line += f", {counts.failed} failed"
    if running := len(counts.running) - len(counts.queued):
        line += f", {running} running"
    return f"{line}, {len(counts.queued)} waiting for a machine" if counts.queued else line


def notice(event: ev.BuildEvent, counts: BuildCounts) -> str:
    """Returns the line to print immediately for an event; empty for most events.

    Args:
        event: The event.
        counts: The counts of the build, this event included.
    """
    if event.job.status == ev.JOB_STATUS_FAILED:
        return _failure_line(event.job, counts.outputs_text(event.job.job_run_id))
    if event.delegation.running:
        refs = [ref.str for ref in event.delegation.partitions]
        return f"waiting for build {event.delegation.delegated_to_build_request_id} to produce {some_of(refs)}"
    return ""


def _failure_line(job: ev.JobEvent, outputs: str) -> str:
    category = category_name(job.failure.category)
    of_outputs = f" {outputs}" if outputs else ""
    return f"FAILED {job.job_label}{of_outputs} ({job.job_run_id}), {category}: {job.failure.message}"
