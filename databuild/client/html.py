"""How a build stands, as HTML for a notebook. Whatever comes from elsewhere is escaped, and nothing is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from databuild.model.build_counts import BuildCounts

_SHOWN: Final = 5
_COLOURS: Final = {"completed": "#1a7f37", "failed": "#cf222e", "cancelled": "#9a6700"}
_RUNNING: Final = "#0969da"


def build_html(build_request_id: str, partitions: Sequence[str], counts: BuildCounts) -> str:
    """Returns how a build stands.

    Args:
        build_request_id: The build.
        partitions: What it is asked for.
        counts: What its events add up to.
    """
    phase = counts.phase.replace("_", " ")
    colour = _COLOURS.get(counts.phase, _RUNNING)
    named = f'<span style="color:{colour};font-weight:600">{escape(phase)}</span>'
    rows = [
        f"<div><strong>build {escape(build_request_id)}</strong> {named}</div>",
        f"<div>{_some(partitions) or 'the default partitions'}</div>",
        _bar(counts, colour),
        f"<div>{escape(_line(counts))}</div>",
    ]
    running = sorted(counts.running.items(), key=lambda run: run[1][1])
    rows += [
        f"<div>running: {escape(label)} <code>{escape(job_run_id)}</code></div>"
        for job_run_id, (label, _) in running[:_SHOWN]
    ]
    failed = [part for part in counts.failed_partitions if part.job_run_id]
    rows += [
        f'<div style="color:{_COLOURS["failed"]}">not built: <code>{escape(part.ref)}</code> '
        f"{escape(part.failure.message)}</div>"
        for part in failed[:_SHOWN]
    ]
    if len(failed) > _SHOWN:
        rows.append(f"<div>and {len(failed) - _SHOWN} more</div>")
    return f'<div class="databuild-build" style="font-family:sans-serif">{"".join(rows)}</div>'


def _bar(counts: BuildCounts, colour: str) -> str:
    done, total = counts.completed, max(counts.total, counts.completed, 1)
    percent = 100 if counts.phase == "completed" else 100 * done // total
    return (
        f'<div role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        'style="background:#d0d7de;height:0.6em;max-width:40em;margin:0.3em 0">'
        f'<div style="background:{colour};height:100%;width:{percent}%"></div></div>'
    )


def _line(counts: BuildCounts) -> str:
    text = f"{counts.completed} of {counts.total} tasks completed"
    if counts.failed:
        text += f", {counts.failed} failed"
    if counts.running:
        text += f", {len(counts.running)} running"
    taken = sum(len(refs) for refs in counts.delegations.values())
    return f"{text}, {taken} partitions taken from other builds" if taken else text


def _some(partitions: Sequence[str]) -> str:
    shown = ", ".join(f"<code>{escape(ref)}</code>" for ref in partitions[:_SHOWN])
    return f"{shown} and {len(partitions) - _SHOWN} more" if len(partitions) > _SHOWN else shown
