"""Reports as one HTML file without references to others, which can be mailed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import jinja2

from databuild.drawing.job_graph import DrawnTask, draw_job_graph
from databuild.drawing.runs import DrawnRun
from databuild.drawing.states import state_of
from databuild.drawing.style import STYLE
from databuild.drawing.timeline import draw_timeline, duration_text
from databuild.reports.build_report import BuildReport, ReportedTask
from databuild.reports.job_rows import job_rows

MAX_ROWS: Final = 1000
"""Maximum number of rows of a table; the report tells how many more there are."""


def html_report(report: BuildReport) -> str:
    """Returns the text of an HTML file with the job graph, the timeline, failures and checks. It runs no scripts."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(duration=duration_text, clock_time=_clock_time)
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        build=report.build,
        jobs=job_rows(report.tasks),
        style=STYLE,
        graph=_graph(report.tasks),
        timeline=_timeline(report),
        max_rows=MAX_ROWS,
    )


def _graph(tasks: Sequence[ReportedTask]) -> str:
    """Draws the job graph; empty without tasks."""
    drawn = [
        DrawnTask(task.task_id, task.job_label, task.outputs, task.upstream, state_of(task.status)) for task in tasks
    ]
    return draw_job_graph(drawn) if drawn else ""


def _timeline(report: BuildReport) -> str:
    """Draws the timeline; empty if no job run has started."""
    now = report.build.updated_time
    drawn = [
        DrawnRun(
            run.record.job_run_id,
            task.task_id,
            task.job_label,
            task.name,
            state_of(run.record.status),
            run.record.started_time,
            run.record.ended_time or None,
            run.record.attempt,
            waited=run.record.queued_seconds,
            machine=run.record.machine or run.record.executor,
        )
        for task in report.tasks
        for run in task.runs
        if run.record.started_time
    ]
    return draw_timeline(drawn, {task.task_id: task.upstream for task in report.tasks}, now=now) if drawn else ""


def _clock_time(seconds: float) -> str:
    """Formats a time in seconds since the epoch as `2013-01-01 12:00:00` (UTC)."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
