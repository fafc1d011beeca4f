"""Drawing of a job graph: its tasks with their states, or its jobs if there are too many tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from databuild.drawing.boxes import COLUMNS, Box, draw_boxes
from databuild.drawing.layout import MAX_NODES
from databuild.drawing.states import STATES, counts_text, most_severe
from databuild.drawing.svg import document, heading, heading_bottom
from databuild.drawing.text import job_name, shorten

_MIN_WIDTH: Final = 560.0


class DrawnTask(NamedTuple):
    """A task to draw.

    Attributes:
        task_id: Its number in the job graph.
        job_label: The label of its job.
        outputs: The refs of its outputs.
        upstream: The ids of its upstream tasks.
        state: One of STATES.
        link: The URL of its node; empty for none.
    """

    task_id: int
    job_label: str
    outputs: tuple[str, ...]
    upstream: tuple[int, ...]
    state: str = "planned"
    link: str = ""


class _Job(NamedTuple):
    label: str
    counts: Counter[str]


def draw_job_graph(
    tasks: Sequence[DrawnTask],
    *,
    title: str = "Job graph",
    job_links: Mapping[str, str] | None = None,
    style: bool = False,
) -> str:
    """Draws a job graph.

    Args:
        tasks: The tasks.
        title: The title of the drawing.
        job_links: The URLs of jobs by label, for a graph that is drawn by job.
        style: True to embed the style sheet.
    """
    counts = Counter(task.state for task in tasks)
    total = f"{len(tasks):,} {'task' if len(tasks) == 1 else 'tasks'}"
    summary = [total if set(counts) <= {"planned"} else f"{total}: {counts_text(counts)}"]
    if len(tasks) <= MAX_NODES:
        boxes, edges = _tasks(tasks)
    else:
        boxes, edges, omitted = _jobs(tasks, job_links or {})
        summary.append(f"drawn by job{f'; {omitted:,} more jobs are not shown' if omitted else ''}")
    picture = draw_boxes(boxes, edges, top=heading_bottom(summary))
    width = max(picture.width, _MIN_WIDTH)
    parts = [*heading(title, summary, width), *picture.parts]
    return document("job-graph", title, "; ".join(summary), parts, width, picture.height, style=style)


def _tasks(tasks: Sequence[DrawnTask]) -> tuple[list[Box], list[tuple[int, int]]]:
    indices = {task.task_id: index for index, task in enumerate(tasks)}
    edges = [
        (indices[upstream], index)
        for index, task in enumerate(tasks)
        for upstream in task.upstream
        if upstream in indices
    ]
    return [_task(task) for task in tasks], edges


def _task(task: DrawnTask) -> Box:
    more = f" +{len(task.outputs) - 1:,}" if len(task.outputs) > 1 else ""
    first = task.outputs[0] if task.outputs else "no outputs"
    shown = shorten(first, COLUMNS - len(more)) + more
    outputs = first if not more else f"{first} and {len(task.outputs) - 1:,} more"
    title = f"{task.job_label}: {outputs} ({STATES[task.state].word})"
    return Box(job_name(task.job_label), (shown,), task.state, title, task.link)


def _jobs(tasks: Sequence[DrawnTask], links: Mapping[str, str]) -> tuple[list[Box], list[tuple[int, int]], int]:
    job_of = {task.task_id: task.job_label for task in tasks}
    jobs: dict[str, _Job] = {}
    for task in tasks:
        jobs.setdefault(task.job_label, _Job(task.job_label, Counter())).counts[task.state] += 1
    # Of too many jobs, those with the most failures are drawn, then the largest: users look for these.
    ranked = sorted(jobs.values(), key=lambda job: (-job.counts["failed"], -job.counts.total(), job.label))
    shown = {job.label for job in ranked[:MAX_NODES]}
    drawn = [job for job in jobs.values() if job.label in shown]
    indices = {job.label: index for index, job in enumerate(drawn)}
    pairs = {(job_of[upstream], task.job_label) for task in tasks for upstream in task.upstream if upstream in job_of}
    loops = {upstream for upstream, downstream in pairs if upstream == downstream}
    edges = [
        (indices[upstream], indices[downstream])
        for upstream, downstream in pairs
        if upstream in indices and downstream in indices
    ]
    boxes = [_job(job, links.get(job.label, ""), loop=job.label in loops) for job in drawn]
    return boxes, edges, len(jobs) - len(drawn)


def _job(job: _Job, link: str, *, loop: bool) -> Box:
    counts = job.counts
    total = counts.total()
    planned = counts["planned"] == total
    done = counts["completed"] + counts["skipped"]
    tasks = f"{total:,} {'task' if total == 1 else 'tasks'}"
    lines = [tasks if planned else f"{done:,} of {total:,} done"]
    notable = {state: count for state, count in counts.items() if state not in {"completed", "planned"}}
    if notable:
        lines.append(counts_text(notable, COLUMNS))
    title = f"{job.label}: {tasks}" + ("" if planned else f" ({counts_text(counts)})")
    if loop:
        title += "; some depend on others of the same job"
    return Box(job_name(job.label), tuple(lines), most_severe(counts), title, link, loop)
