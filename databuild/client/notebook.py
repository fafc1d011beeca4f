"""Builds in notebooks: their state as HTML, and a display that is updated while they run.

The HTML loads nothing, and escapes every text, since refs and messages come from elsewhere. IPython is not required.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final

from databuild.model.build_counts import BuildCounts

_REFRESH_SECONDS: Final = 0.25
_MAX_ROWS: Final = 5
_COLOURS: Final = {"completed": "#1a7f37", "failed": "#cf222e", "cancelled": "#9a6700"}
_RUNNING_COLOUR: Final = "#0969da"


class LiveDisplay:
    """Displays one object in the notebook that runs this code, and updates it a few times a second.

    Args:
        shown: The object, with `_repr_html_`.
        clock: Returns a time in seconds, on any scale.
    """

    def __init__(self, shown: object, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock
        self._next_refresh = 0.0
        self._handle: Any = None

    def start(self) -> None:
        """Displays the object; does nothing outside of a notebook."""
        # A program that runs in a notebook has imported IPython already, so nothing else needs it to be installed.
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if getattr(shell, "kernel", None) is not None:  # IPython in a terminal has no kernel, and cannot update output
            display = sys.modules["IPython"].display.display
            self._handle = display(self._shown, display_id=True)

    def refresh(self, *, now: bool = False) -> None:
        """Updates the display if it is due or, with `now`, in any case."""
        if self._handle is None or (self._clock() < self._next_refresh and not now):
            return
        self._handle.update(self._shown)
        self._next_refresh = self._clock() + _REFRESH_SECONDS


def build_html(build_request_id: str, partitions: Sequence[str], counts: BuildCounts) -> str:
    """Formats the state of a build as HTML.

    Args:
        build_request_id: The build.
        partitions: The requested partitions; none for the default ones.
        counts: The sums over the events of the build.
    """
    phase = counts.phase.replace("_", " ")
    colour = _COLOURS.get(counts.phase, _RUNNING_COLOUR)
    phase_html = f'<span style="color:{colour};font-weight:600">{escape(phase)}</span>'
    rows = [
        f"<div><strong>build {escape(build_request_id)}</strong> {phase_html}</div>",
        f"<div>{_refs_html(partitions) or 'the default partitions'}</div>",
        _bar_html(counts, colour),
        f"<div>{escape(_counts_text(counts))}</div>",
    ]
    running = sorted(counts.running.items(), key=lambda run: run[1][1])
    rows += [
        f"<div>running: {escape(label)} <code>{escape(job_run_id)}</code></div>"
        for job_run_id, (label, _) in running[:_MAX_ROWS]
    ]
    # Partitions that were not built only because of the failure of another one have no job run.
    failed = [part for part in counts.failed_partitions if part.job_run_id]
    rows += [
        f'<div style="color:{_COLOURS["failed"]}">not built: <code>{escape(part.ref)}</code> '
        f"{escape(part.failure.message)}</div>"
        for part in failed[:_MAX_ROWS]
    ]
    if len(failed) > _MAX_ROWS:
        rows.append(f"<div>and {len(failed) - _MAX_ROWS} more</div>")
    return f'<div class="databuild-build" style="font-family:sans-serif">{"".join(rows)}</div>'


def _bar_html(counts: BuildCounts, colour: str) -> str:
    done, total = counts.completed, max(counts.total, counts.completed, 1)
    percent = 100 if counts.phase == "completed" else 100 * done // total
    return (
        f'<div role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        'style="background:#d0d7de;height:0.6em;max-width:40em;margin:0.3em 0">'
        f'<div style="background:{colour};height:100%;width:{percent}%"></div></div>'
    )


def _counts_text(counts: BuildCounts) -> str:
    text = f"{counts.completed} of {counts.total} tasks completed"
    if counts.failed:
        text += f", {counts.failed} failed"
    if counts.running:
        text += f", {len(counts.running)} running"
    delegated = sum(len(refs) for refs in counts.delegations.values())
    return f"{text}, {delegated} partitions taken from other builds" if delegated else text


def _refs_html(partitions: Sequence[str]) -> str:
    refs = ", ".join(f"<code>{escape(ref)}</code>" for ref in partitions[:_MAX_ROWS])
    return f"{refs} and {len(partitions) - _MAX_ROWS} more" if len(partitions) > _MAX_ROWS else refs
