"""The summary of a build: partitions built and taken from other builds, failures with logs, and the next command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from databuild.cli.backend.build_outcome import Summary
from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, duration_text, some_of
from databuild.cli.flags.exit_codes import BUILT, INTERRUPTED, JOB_FAILED, OUR_FAILURE
from databuild.model.build_counts import BuildCounts
from databuild.model.enum_names import severity_name
from databuild.model.records import JobRunRecord
from databuild.model.results import BuildResult, Cancelled, Failed, Success
from databuild.v1 import partition_pb2 as pt

_STREAMS = {"stderr": "standard error", "stdout": "standard output"}
"""The output streams of a job run. Only the first one with content is shown, so the one with errors comes first."""

_TAIL_LINES = 12
_MAX_FAILURES = 5


def exit_code_of_result(result: BuildResult) -> int:
    if isinstance(result, Success):
        return BUILT
    if isinstance(result, Cancelled):
        return INTERRUPTED
    if isinstance(result, Failed) and not result.jobs_failed:  # planning failed, or DataBuild did
        return OUR_FAILURE if result.category == pt.FAILURE_CATEGORY_INFRASTRUCTURE else JOB_FAILED
    return JOB_FAILED


def print_summary(call: Invocation, summary: Summary, counts: BuildCounts) -> None:
    """Prints the result of a build on standard output."""
    if call.json:
        call.out.json(_as_json(call, summary, counts))
        return
    out = call.out
    if summary.built:
        jobs = counted(summary.result.jobs_completed, "job run")
        out.line(f"built {counted(len(summary.built), 'partition')} in {jobs}: {some_of(summary.built)}")
    _print_taken(call, summary, counts)
    if isinstance(summary.result, Success) and not summary.built:
        out.line("nothing to do: everything is available and fresh")
    for check in counts.failed_checks[:_MAX_FAILURES]:
        out.line(f"check {_check_text(check)}")
    if len(counts.failed_checks) > _MAX_FAILURES:
        out.line(f"and {counted(len(counts.failed_checks) - _MAX_FAILURES, 'more check')} that did not pass")
    failed = _failed_tasks(summary, counts)
    for job_run in failed[:_MAX_FAILURES]:
        _print_failure(call, job_run, counts.outputs_text(job_run.job_run_id))
    if len(failed) > _MAX_FAILURES:
        out.line(f"and {counted(len(failed) - _MAX_FAILURES, 'more failed task')}")
    # A partition without a job run did not fail itself.
    skipped = len(counts.failed_partitions) - len({part.ref for part in counts.failed_partitions if part.job_run_id})
    if skipped > 0:
        out.line(f"not built: {counted(skipped, 'partition')} downstream of a failure, or not reached")
    _print_end(call, summary, failed)
    out.line(f"build {summary.build_request_id} {_status(summary)}{_duration_text(summary)}")


def _failed_tasks(summary: Summary, counts: BuildCounts) -> Sequence[JobRunRecord]:
    """Returns the last job run of each task that failed: not those after which another attempt followed."""
    return [job_run for job_run in summary.failed if job_run.job_run_id not in counts.retried]


def _print_end(call: Invocation, summary: Summary, failed: Sequence[JobRunRecord]) -> None:
    """Prints the reason for the end of a build that did not succeed, and the next commands."""
    out = call.out
    if isinstance(summary.result, Failed) and summary.result.message and not failed:
        out.line(f"failed: {summary.result.message}")
    if isinstance(summary.result, Cancelled) and summary.result.author:
        out.line(f"cancelled by {summary.result.author}")
    if not isinstance(summary.result, Success):
        if failed:
            out.line(f"logs: {call.follow_up(f'logs {failed[0].job_run_id}')}")
        out.line(f"again: {call.follow_up(f'retry {summary.build_request_id}')}")


def _print_taken(call: Invocation, summary: Summary, counts: BuildCounts) -> None:
    for build, refs in _taken(summary, counts).items():
        number, names = counted(len(refs), "partition"), some_of(refs)
        if build in summary.adoptions:
            call.out.line(f"used {number} that {'was' if len(refs) == 1 else 'were'} adopted: {names}")
        else:
            call.out.line(f"took {number} from build {build}: {names}")


def _check_text(check: pt.CheckResult) -> str:
    """Formats a check, such as `rows of a/1 did not pass (ERROR): the table is empty`."""
    ref = f" of {check.ref}" if check.ref else ""
    message = f": {check.message}" if check.message else ""
    return f"{check.name}{ref} did not pass ({severity_name(check.severity)}){message}"


def _taken(summary: Summary, counts: BuildCounts) -> dict[str, list[str]]:
    """Returns the partitions that were taken from other builds, by build.

    A partition that was delegated to a build which then failed to produce it belongs to this build again.
    """
    own = {*summary.built, *(partition.ref for partition in counts.failed_partitions)}
    taken = {build: [ref for ref in refs if ref not in own] for build, refs in counts.delegations.items()}
    return {build: refs for build, refs in taken.items() if refs}


def _print_failure(call: Invocation, job_run: JobRunRecord, outputs: str) -> None:
    failure = job_run.failure
    reason = f"{failure.category}: {failure.message}" if failure else "no reason was recorded"
    of_outputs = f" {outputs}" if outputs else ""
    call.out.line(f"FAILED {job_run.job_label}{of_outputs} ({job_run.job_run_id})")
    call.out.line(f"  {reason}")
    for stream, name in _STREAMS.items():
        if tail := _tail(call, job_run, stream):
            call.out.line(f"  the end of its {name}, {call.backend().log_path(job_run, stream)}:")
            for line in tail:
                call.out.line(f"    {line}")
            return
    call.out.line("  it wrote nothing")


def _status(summary: Summary) -> str:
    if isinstance(summary.result, Success):
        return "COMPLETED"
    return "CANCELLED" if isinstance(summary.result, Cancelled) else "FAILED"


def _message(result: BuildResult) -> str:
    if isinstance(result, Cancelled):
        return f"cancelled by {result.author}" if result.author else "cancelled"
    return result.message if isinstance(result, Failed) else ""


def _duration_text(summary: Summary) -> str:
    if summary.build is None:
        return ""
    return f" in {duration_text(max(summary.build.updated_time - summary.build.received_time, 0.0))}"


def _tail(call: Invocation, job_run: JobRunRecord, stream: str) -> list[str]:
    """Returns the last lines of a log, without empty lines at its end."""
    return call.backend().tail_of_log(job_run, stream).decode(errors="replace").rstrip().splitlines()[-_TAIL_LINES:]


def _as_json(call: Invocation, summary: Summary, counts: BuildCounts) -> dict[str, Any]:
    build = summary.build
    lost: dict[str, list[str]] = {}
    for partition in counts.failed_partitions:
        lost.setdefault(partition.job_run_id, []).append(partition.ref)
    failures = [
        {
            "job_run_id": job_run.job_run_id,
            "job_label": job_run.job_label,
            "partitions": sorted(lost.get(job_run.job_run_id, ())),
            "category": job_run.failure.category if job_run.failure else "",
            "message": job_run.failure.message if job_run.failure else "",
            "exit_code": job_run.exit_code,
            "stderr": call.backend().log_path(job_run, "stderr"),
            "stderr_tail": _tail(call, job_run, "stderr"),
            "stdout": call.backend().log_path(job_run, "stdout"),
            "stdout_tail": _tail(call, job_run, "stdout"),
        }
        for job_run in _failed_tasks(summary, counts)
    ]
    return {
        "build_request_id": summary.build_request_id,
        "status": _status(summary),
        "exit_code": exit_code_of_result(summary.result),
        "graph_label": call.graph_label,
        "requested": build.requested if build else (),
        "jobs_completed": summary.result.jobs_completed,
        "jobs_failed": getattr(summary.result, "jobs_failed", 0),
        "message": _message(summary.result),
        "built": summary.built,
        "delegated": _taken(summary, counts),
        "not_built": sorted({part.ref for part in counts.failed_partitions}),
        "failed_checks": [
            {"name": check.name, "ref": check.ref, "severity": severity_name(check.severity), "message": check.message}
            for check in counts.failed_checks
        ],
        "warnings": list(counts.warnings),
        "failures": failures,
        "duration_seconds": build.updated_time - build.received_time if build else None,
    }
