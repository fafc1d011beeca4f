"""The facts of a report about a build, read from its records and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from databuild.errors import BuildPrunedError
from databuild.model import statuses
from databuild.model.enum_names import severity_name
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev

MAX_TAILS: Final = 100
"""Maximum number of failed job runs whose logs a report quotes."""

_STREAMS: Final = ("stdout", "stderr")


class ReportRecords(Protocol):
    """The reads that a report needs."""

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]: ...

    def events(
        self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000
    ) -> Sequence[ev.BuildEvent]: ...


class ReportedRun(NamedTuple):
    """A job run, with the ends of its logs if it failed."""

    record: JobRunRecord
    stdout_tail: str = ""
    stderr_tail: str = ""

    @property
    def reason(self) -> str:
        """The category and message of its failure, such as `USER: exit code 3`; empty without a failure."""
        failure = self.record.failure
        return f"{failure.category}: {failure.message}" if failure else ""


class ReportedTask(NamedTuple):
    """A task with its job runs, the first attempt first; none if the build ended before it ran."""

    task_id: int
    job_label: str
    outputs: tuple[str, ...]
    upstream: tuple[int, ...]
    runs: tuple[ReportedRun, ...] = ()

    @property
    def name(self) -> str:
        """The first output, and the number of others."""
        more = f" and {len(self.outputs) - 1} more" if len(self.outputs) > 1 else ""
        return f"{self.outputs[0]}{more}" if self.outputs else f"task {self.task_id}"

    @property
    def status(self) -> str:
        """The status of the last job run; empty without one."""
        return self.runs[-1].record.status if self.runs else ""

    @property
    def seconds(self) -> float:
        """The run time of all job runs together."""
        return sum(run.record.duration_seconds for run in self.runs)


class ReportedCheck(NamedTuple):
    """The result of a check; `ref` is empty if the check is about a whole job run."""

    job_run_id: str
    job_label: str
    name: str
    ref: str
    passed: bool
    severity: str
    message: str

    @property
    def title(self) -> str:
        """The name, with the ref if there is one."""
        return f"{self.name} of {self.ref}" if self.ref else self.name


class Taken(NamedTuple):
    """Partitions that the build took from another build, or from the operation that adopted them."""

    build_request_id: str
    job_label: str
    refs: tuple[str, ...]


class BuildReport(NamedTuple):
    """The facts of a report.

    Attributes:
        build: The build.
        tasks: Its tasks in topological order.
        checks: The results of checks, in the order in which they were recorded.
        taken: Partitions from other builds, in the order in which they were recorded.
        warnings: Warnings about probable mistakes, one sentence each.
        omitted_tails: The number of failed job runs whose logs are not quoted.
    """

    build: BuildRecord
    tasks: tuple[ReportedTask, ...] = ()
    checks: tuple[ReportedCheck, ...] = ()
    taken: tuple[Taken, ...] = ()
    warnings: tuple[str, ...] = ()
    omitted_tails: int = 0

    @property
    def ended(self) -> bool:
        return self.build.status in statuses.BUILD.ended

    @property
    def seconds(self) -> float:
        """The time from the start of the build to its last event."""
        return max(self.build.updated_time - self.build.received_time, 0.0)

    @property
    def failed_tasks(self) -> tuple[ReportedTask, ...]:
        return tuple(task for task in self.tasks if task.status == "FAILED")

    @property
    def failed_checks(self) -> tuple[ReportedCheck, ...]:
        return tuple(check for check in self.checks if not check.passed)


def collect_report(
    records: ReportRecords, build: BuildRecord, tail_of_log: Callable[[JobRunRecord, str], bytes]
) -> BuildReport:
    """Reads the facts of a report.

    Args:
        records: Reads job runs and events.
        build: The build; it may still run.
        tail_of_log: Returns the end of a log of a job run, for `stdout` or `stderr`.

    Raises:
        BuildPrunedError: The events of the build were pruned.
    """
    build_request_id = build.build_request_id
    if build.pruned_time:
        raise BuildPrunedError(build_request_id, "its events are not kept any more, so no report can be made")
    facts = _Facts()
    for event in read_rows(
        lambda after, limit: records.events(build_request_id, after_sequence=after, limit=limit),
        key=lambda event: event.sequence,
        start=0,
    ):
        facts.add(event)
    failed = 0
    runs: dict[int, list[ReportedRun]] = {}
    labels: dict[str, str] = {}
    for record in read_rows(
        lambda after, limit: records.job_runs(build_request_id, after=after, limit=limit),
        key=lambda record: record.number,
        start=0,
    ):
        labels[record.job_run_id] = record.job_label
        run = ReportedRun(record)
        if record.status == "FAILED":
            failed += 1
            if failed <= MAX_TAILS:
                tails = (tail_of_log(record, stream).decode(errors="replace") for stream in _STREAMS)
                run = ReportedRun(record, *tails)
        runs.setdefault(record.task_id, []).append(run)
    return BuildReport(
        build,
        tuple(task._replace(runs=tuple(runs.get(task.task_id, ()))) for task in facts.tasks),
        tuple(check._replace(job_label=labels.get(check.job_run_id, "")) for check in facts.checks),
        tuple(facts.taken),
        tuple(facts.warnings),
        max(failed - MAX_TAILS, 0),
    )


class _Facts:
    """The facts that only events have."""

    def __init__(self) -> None:
        self.tasks: list[ReportedTask] = []
        self.checks: list[ReportedCheck] = []
        self.taken: list[Taken] = []
        self.warnings: dict[str, None] = {}

    def add(self, event: ev.BuildEvent) -> None:
        """Adds an event. Events of unknown kinds are ignored: a newer service may send them."""
        kind = event.WhichOneof("event")
        if kind == "job_graph":
            self.tasks += (
                ReportedTask(
                    task.task_id,
                    task.job_label,
                    tuple(ref.str for ref in task.config.outputs),
                    tuple(task.upstream_task_ids),
                )
                for task in event.job_graph.tasks
            )
        elif kind == "check":
            result = event.check.result
            severity = severity_name(result.severity) if result.severity else ""
            self.checks.append(
                ReportedCheck(
                    event.check.job_run_id, "", result.name, result.ref, result.passed, severity, result.message
                )
            )
        elif kind == "delegation":
            delegation = event.delegation
            refs = tuple(ref.str for ref in delegation.partitions)
            self.taken.append(Taken(delegation.delegated_to_build_request_id, delegation.job_label, refs))
        elif kind == "build_request":
            self.warnings.update(dict.fromkeys(event.build_request.warnings))
