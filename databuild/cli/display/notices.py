"""Lines about a running build: its state, and the events that a person wants to know of at once."""

from __future__ import annotations

from databuild.cli.display.output import counted, some_of
from databuild.model.build_counts import BuildCounts
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


class Counts(BuildCounts):
    """Counts the events of a build, for a person."""

    def line(self) -> str:
        """Returns the state of the build in one line."""
        if self.phase == "planning" and self.planning is not None:
            return f"planning: {self.planning.text()}"
        if not (self.total or self.completed or self.failed or self.running):
            return self.phase.replace("_", " ")
        text = f"{self.phase.replace('_', ' ')}: {self.completed} of {counted(self.total, 'task')} completed"
        if self.failed:
            text += f", {self.failed} failed"
        return f"{text}, {len(self.running)} running" if self.running else text


def notice(event: ev.BuildEvent) -> str:
    """Returns the line that an event deserves at once; empty for most events."""
    if event.job.status == ev.JOB_STATUS_FAILED:
        return failed_line(event.job)
    if event.delegation.running:
        refs = [ref.str for ref in event.delegation.partitions]
        return f"waiting for build {event.delegation.delegated_to_build_request_id} to produce {some_of(refs)}"
    return ""


def failed_line(job: ev.JobEvent) -> str:
    """Returns the failure of a job run in one line."""
    category = pt.FailureCategory.Name(job.failure.category).removeprefix("FAILURE_CATEGORY_")
    return f"FAILED {job.job_label} ({job.job_run_id}), {category}: {job.failure.message}"
