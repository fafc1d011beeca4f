"""The job graph of a build: its tasks with where each stands, or its jobs where the tasks are too many to be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from databuild.drawing.boxes import COLUMNS, Box, draw_boxes
from databuild.drawing.layout import LARGEST
from databuild.drawing.states import STATES, in_words, worst
from databuild.drawing.svg import below_heading, document, heading
from databuild.drawing.text import short_name, shorten

_NARROWEST: Final = 560.0


class DrawnTask(NamedTuple):
    """A task as it is drawn.

    Attributes:
        task_id: Its number in the job graph.
        job_label: The label of its job.
        outputs: What it produces.
        upstream: The ids of the tasks that it waits for.
        state: One of STATES.
        link: Where its node leads to.
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
        tasks: Its tasks.
        title: What it is the job graph of.
        job_links: Where the nodes of jobs lead to, by label, where jobs are drawn instead of tasks.
        style: Whether the style sheet is embedded.
    """
    counts = Counter(task.state for task in tasks)
    told = f"{len(tasks):,} {'task' if len(tasks) == 1 else 'tasks'}"
    said = [told if set(counts) <= {"planned"} else f"{told}: {in_words(counts)}"]
    if len(tasks) <= LARGEST:
        boxes, edges = _tasks(tasks)
    else:
        boxes, edges, left_out = _jobs(tasks, job_links or {})
        said.append(f"drawn by job{f'; {left_out:,} more jobs are not shown' if left_out else ''}")
    picture = draw_boxes(boxes, edges, top=below_heading(said))
    width = max(picture.width, _NARROWEST)
    parts = [*heading(title, said, width), *picture.parts]
    return document("job-graph", title, "; ".join(said), parts, width, picture.height, style=style)


def _tasks(tasks: Sequence[DrawnTask]) -> tuple[list[Box], list[tuple[int, int]]]:
    places = {task.task_id: place for place, task in enumerate(tasks)}
    edges = [
        (places[upstream], place)
        for place, task in enumerate(tasks)
        for upstream in task.upstream
        if upstream in places
    ]
    return [_task(task) for task in tasks], edges


def _task(task: DrawnTask) -> Box:
    more = f" +{len(task.outputs) - 1:,}" if len(task.outputs) > 1 else ""
    first = task.outputs[0] if task.outputs else "no outputs"
    shown = shorten(first, COLUMNS - len(more)) + more
    outputs = first if not more else f"{first} and {len(task.outputs) - 1:,} more"
    title = f"{task.job_label}: {outputs} ({STATES[task.state].word})"
    return Box(short_name(task.job_label), (shown,), task.state, title, task.link)


def _jobs(tasks: Sequence[DrawnTask], links: Mapping[str, str]) -> tuple[list[Box], list[tuple[int, int]], int]:
    job_of = {task.task_id: task.job_label for task in tasks}
    jobs: dict[str, _Job] = {}
    for task in tasks:
        jobs.setdefault(task.job_label, _Job(task.job_label, Counter())).counts[task.state] += 1
    # Of too many jobs, those that somebody looks for are drawn: where something is wrong, then the largest.
    first = sorted(jobs.values(), key=lambda job: (-job.counts["failed"], -job.counts.total(), job.label))[:LARGEST]
    shown = {job.label for job in first}
    drawn = [job for job in jobs.values() if job.label in shown]
    places = {job.label: place for place, job in enumerate(drawn)}
    pairs = {(job_of[upstream], task.job_label) for task in tasks for upstream in task.upstream if upstream in job_of}
    loops = {upstream for upstream, downstream in pairs if upstream == downstream}
    edges = [
        (places[upstream], places[downstream])
        for upstream, downstream in pairs
        if upstream in places and downstream in places
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
    rest = {state: count for state, count in counts.items() if state not in {"completed", "planned"}}
    if rest:
        lines.append(in_words(rest, COLUMNS))
    title = f"{job.label}: {tasks}" + ("" if planned else f" ({in_words(counts)})")
    if loop:
        title += "; some wait for others of the same job"
    return Box(short_name(job.label), tuple(lines), worst(counts), title, link, loop)
