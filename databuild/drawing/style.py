"""Style sheet of drawings, for a page that contains them or embedded in a file."""

from __future__ import annotations

from typing import Final

_COLOURS: Final = {
    # state: (line, fill) in the light scheme, (line, fill) in the dark scheme
    "completed": ("#237a41", "#e4f3e8", "#62c584", "#16301f"),
    "available": ("#237a41", "#e4f3e8", "#62c584", "#16301f"),
    "failed": ("#b3261e", "#fbe4e2", "#ff8f87", "#451a18"),
    "running": ("#1a62b8", "#e1edfb", "#7db4f5", "#152c47"),
    "building": ("#1a62b8", "#cfe2f8", "#7db4f5", "#1d4270"),
    "pending": ("#66707f", "#f3f5f7", "#98a3b3", "#20262e"),
    "planned": ("#66707f", "#f3f5f7", "#98a3b3", "#20262e"),
    "cancelled": ("#85560a", "#f7ecd8", "#dcac5c", "#36280f"),
    "skipped": ("#65549f", "#efebf9", "#b3a4ec", "#29223f"),
    "stale": ("#7d5a00", "#f6dd94", "#e6bf50", "#57430d"),
    "tainted": ("#9a2c6d", "#f6cfe5", "#f08bc4", "#581b40"),
    "missing": ("#8b95a3", "none", "#6d7786", "none"),
}
_LIGHT: Final = "--paper:#fff;--ink:#1c2430;--quiet:#535d6b;--rule:#e3e7ec;--edge:#818b99;--mark:#1c2430;--full:#7cc593"
_DARK: Final = (
    "--paper:#12161c;--ink:#e7ebf1;--quiet:#a9b3c1;--rule:#2b323c;--edge:#788393;--mark:#f2f5f9;--full:#2b7846"
)


def _states(scheme: int) -> str:
    return "".join(
        f".drawing .state-{state}{{--line:{colours[scheme]};--fill:{colours[scheme + 1]}}}"
        for state, colours in _COLOURS.items()
    )


STYLE: Final = (
    f".drawing{{{_LIGHT};color:var(--ink);font:13px/1.3 system-ui,sans-serif}}"
    f"{_states(0)}"
    f"@media (prefers-color-scheme:dark){{.drawing{{{_DARK}}}{_states(2)}}}"
    ".drawing.alone{background:var(--paper)}"
    ".drawing text{fill:var(--ink)}"
    ".drawing text.quiet{fill:var(--quiet);font-size:12px}"
    ".drawing text.small{fill:var(--quiet);font-size:11px}"
    ".drawing text.inside{font-size:12px}"
    ".drawing text.name,.drawing text.heading{font-weight:600}"
    ".drawing text.end{text-anchor:end}"
    ".drawing text.middle{text-anchor:middle}"
    ".drawing .box{fill:var(--fill);stroke:var(--line);stroke-width:1.25}"
    ".drawing .waiting{fill:var(--line);opacity:.35}"
    ".drawing .state-pending .box,.drawing .state-skipped .box,.drawing .state-cancelled .box{stroke-dasharray:4 3}"
    ".drawing .external .box{stroke-dasharray:2 3}"
    ".drawing .cell.state-available .box{fill:var(--full)}"
    ".drawing .glyph{fill:none;stroke:var(--line);stroke-width:1.75;stroke-linecap:round;stroke-linejoin:round}"
    ".drawing .edge{fill:none;stroke:var(--edge);stroke-width:1.25}"
    ".drawing .back{stroke-dasharray:5 4}"
    ".drawing .faint{stroke-dasharray:1.5 3.5}"
    ".drawing .arrow{fill:var(--edge)}"
    ".drawing .rule{fill:none;stroke:var(--rule);stroke-width:1}"
    ".drawing .critical .box{stroke:var(--mark);stroke-width:2.25}"
    ".drawing .critical-path{fill:none;stroke:var(--mark);stroke-width:1.5}"
    ".drawing .rest{fill:var(--rule)}"
    ".drawing .subject .box{stroke-width:2.5}"
    ".drawing a{cursor:pointer}"
    ".drawing a:hover .box{stroke-width:2.25}"
    ".drawing a:focus{outline:none}"
    ".drawing a:focus-visible .box{stroke:var(--mark);stroke-width:3}"
)
"""The style sheet. It has no characters that XML would need to escape."""
