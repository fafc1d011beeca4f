"""Reports in Markdown, for summaries of continuous integration and comments on changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from databuild.drawing.timeline import duration_text
from databuild.reports.build_report import BuildReport, ReportedRun, ReportedTask
from databuild.reports.job_rows import job_rows

MAX_ITEMS: Final = 20
"""Maximum number of failures, checks and jobs that are listed; the report tells how many more there are."""

_TAIL_LINES: Final = 30
_MARKS: Final = {"COMPLETED": "✅", "FAILED": "❌", "CANCELLED": "🚫"}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~@!&])")
_BACKTICKS: Final = re.compile("`+")


def markdown_report(report: BuildReport) -> str:
    """Returns the text of a report in GitHub Flavored Markdown. Texts of jobs cannot add markup to it."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: BuildReport) -> Iterator[str]:
    build = report.build
    mark = _MARKS.get(build.status, "⏳")
    yield f"## {mark} Build {_code(build.build_request_id)} {build.status}"
    yield ""
    yield f"{_code(build.graph_label)}, {duration_text(report.seconds)}"
    yield ""
    yield f"- **Requested:** {_names(build.requested)}"
    if build.retry_of_build_request_id:
        yield f"- **Retry of:** {_code(build.retry_of_build_request_id)}"
    yield f"- **Tasks:** {len(report.tasks)}, {build.jobs_completed} completed, {len(report.failed_tasks)} failed"
    yield (
        f"- **Partitions:** {build.partitions_available} built, {build.partitions_delegated} taken from other builds, "
        f"{build.partitions_failed} failed"
    )
    if build.failure is not None:
        yield f"- **{'Cancelled' if build.status == 'CANCELLED' else 'Failure'}:** {_text(build.failure.message)}"
    for warning in report.warnings:
        yield f"- ⚠️ {_text(warning)}"
    yield from _failures(report)
    yield from _checks(report)
    yield from _jobs(report)


def _failures(report: BuildReport) -> Iterator[str]:
    failed = report.failed_tasks
    if not failed:
        return
    yield ""
    yield "### Failed tasks"
    for task in failed[:MAX_ITEMS]:
        yield ""
        yield from _failure(task)
    yield from _rest(failed, "failed task")
    if report.omitted_tails:
        yield ""
        yield f"The logs of {report.omitted_tails} more failed job runs were not read."


def _failure(task: ReportedTask) -> Iterator[str]:
    run = task.runs[-1]
    attempts = f", attempt {run.record.attempt}" if run.record.attempt > 1 else ""
    yield f"**{_text(task.job_label)}**: {_code(task.name)}{attempts}, {_text(run.reason)}"
    name, lines = _tail(run)
    if lines:
        body = "\n".join(lines)
        # A fence is longer than any run of backticks inside it.
        fence = "`" * max(3, *(len(ticks) + 1 for ticks in _BACKTICKS.findall(body)), 3)
        yield ""
        yield f"<details><summary>The end of its {name} ({_code_html(run.record.job_run_id)})</summary>"
        yield ""
        yield f"{fence}text"
        yield body
        yield fence
        yield ""
        yield "</details>"


def _tail(run: ReportedRun) -> tuple[str, Sequence[str]]:
    """Returns the name and the last lines of standard error or, if that is empty, of standard output."""
    for name, text in (("standard error", run.stderr_tail), ("standard output", run.stdout_tail)):
        if lines := text.rstrip().splitlines()[-_TAIL_LINES:]:
            return name, lines
    return "", ()


def _checks(report: BuildReport) -> Iterator[str]:
    if not report.checks:
        return
    failed = report.failed_checks
    yield ""
    yield "### Checks"
    yield ""
    yield f"{len(report.checks) - len(failed)} passed, {len(failed)} did not pass"
    if failed:
        yield ""
    for check in failed[:MAX_ITEMS]:
        message = f": {_text(check.message)}" if check.message else ""
        yield f"- **{check.severity}** {_code(check.title)} ({_text(check.job_label)}){message}"
    yield from _rest(failed, "check")


def _jobs(report: BuildReport) -> Iterator[str]:
    rows = job_rows(report.tasks)
    if not rows:
        return
    yield ""
    yield "### Jobs"
    yield ""
    yield "| Job | Tasks | Completed | Failed | Not run | Run time |"
    yield "|---|--:|--:|--:|--:|--:|"
    for row in rows[:MAX_ITEMS]:
        numbers = f"{row.tasks} | {row.completed} | {row.failed} | {row.other} | {duration_text(row.seconds)}"
        yield f"| {_text(row.job_label)} | {numbers} |"
    yield from _rest(rows, "job")


def _rest(items: Sequence[object], noun: str) -> Iterator[str]:
    more = len(items) - MAX_ITEMS
    if more > 0:
        yield ""
        yield f"and {more} more {noun}{'s' if more > 1 else ''}"


def _names(refs: Sequence[str]) -> str:
    shown = ", ".join(_code(ref) for ref in refs[:3])
    return f"{shown} and {len(refs) - 3} more" if len(refs) > 3 else shown


def _text(text: str) -> str:
    """Escapes a text, as one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Returns a text as inline code, which has no markup inside. A pipe would end a cell of a table."""
    inner = " ".join(text.split()).replace("|", "¦")
    ticks = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(inner)), default=0))
    pad = " " if "`" in inner else ""
    return f"{ticks}{pad}{inner}{pad}{ticks}"


def _code_html(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<code>{escaped}</code>"
