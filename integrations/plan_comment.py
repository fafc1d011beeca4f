"""A comment on a change: the data that it makes stale, by job, from the JSON of `plan`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

MAX_JOBS: Final = 100
"""Maximum number of rows; the comment tells how many more there are."""

MAX_COMMENT: Final = 60_000
"""Maximum length of a comment. GitHub refuses those with more than 65,536 characters."""

_MAX_WARNINGS: Final = 10
_MAX_TEXT: Final = 1000
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~@!&$%^])")


class StaleJob(NamedTuple):
    """The partitions of one job that a build would make.

    Attributes:
        job_label: The label of the job.
        stale: The number of partitions with data that is not up to date.
        absent: The number of partitions without data.
        reasons: The number of stale partitions for each reason, such as `code changed`.
    """

    job_label: str
    stale: int
    absent: int
    reasons: Mapping[str, int]


def stale_jobs(plan: Mapping[str, Any]) -> list[StaleJob]:
    """Returns a row for each job that a build would run, with the most stale partitions first."""
    reasons: dict[str, Counter[str]] = {}
    absent: Counter[str] = Counter()
    for partition in plan["partitions"]:
        if not partition["task_id"]:
            continue
        label = partition["job_label"]
        counts = reasons.setdefault(label, Counter())
        if partition["version"]:
            counts[partition["reason"].lower().replace("_", " ")] += 1
        else:
            absent[label] += 1
    rows = [StaleJob(label, sum(counts.values()), absent[label], counts) for label, counts in reasons.items()]
    return sorted(rows, key=lambda row: (-row.stale, row.job_label))


def marker(graph_label: str) -> str:
    """Returns the first line of a comment about a graph, by which the comment is found again."""
    return f"<!-- databuild plan of {re.sub('[^A-Za-z0-9_/:@.+=-]', '_', graph_label)} -->"


def comment(plan: Mapping[str, Any]) -> str:
    """Returns a comment in the Markdown that GitHub and GitLab share. Names from the plan add no markup to it."""
    rows = stale_jobs(plan)
    shown = min(len(rows), MAX_JOBS)
    while len(text := "\n".join(_lines(plan, rows, shown)) + "\n") > MAX_COMMENT and shown:
        shown //= 2
    return text


def _lines(plan: Mapping[str, Any], rows: Sequence[StaleJob], shown: int) -> Iterator[str]:
    stale, absent = sum(row.stale for row in rows), sum(row.absent for row in rows)
    label = plan["graph_label"]
    yield marker(label)
    yield f"### DataBuild: this change makes {_counted(stale, 'partition') if stale else 'no partition'} stale"
    yield ""
    requested = _counted(len(plan["requested"]), "requested partition")
    tasks = _counted(len(plan["tasks"]), "task")
    yield f"Graph {_text(label)}: a build of {requested} would run {tasks}."
    if rows:
        yield ""
        yield "| Job | Stale | Not built yet | Why stale |"
        yield "|---|--:|--:|---|"
        for row in rows[:shown]:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(row.reasons.items()))
            yield f"| {_text(row.job_label)} | {row.stale:,} | {row.absent:,} | {_text(reasons)} |"
        if len(rows) > shown:
            yield f"| and {_counted(len(rows) - shown, 'more job')} | | | |"
        yield f"| **Total** | **{stale:,}** | **{absent:,}** | |"
    for warning in plan["warnings"][:_MAX_WARNINGS]:
        yield ""
        yield f"⚠️ {_text(warning)}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _text(text: str) -> str:
    """Escapes a text, as one line of limited length."""
    line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]} …")
