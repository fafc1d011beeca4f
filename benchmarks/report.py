"""Report of a session: tables for people, and JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from benchmarks.rows import Row
from benchmarks.targets import Verdict

_NONE = "-"


def _number(form: str) -> Callable[[float | None], str]:
    return lambda value: _NONE if value is None else format(value, form)


def _mib(row: Row) -> float | None:
    return None if row.peak_memory_bytes is None else row.peak_memory_bytes / (1 << 20)


_COLUMNS: Final[tuple[tuple[str, Callable[[Row], str]], ...]] = (
    ("", lambda row: row.name),
    ("tasks", lambda row: f"{row.tasks:,}" if row.tasks else _NONE),
    ("processes", lambda row: f"{row.processes:,}"),
    ("min s", lambda row: _number(".3f")(row.seconds)),
    ("median s", lambda row: _number(".3f")(row.median_seconds)),
    ("p99 s", lambda row: _number(".3f")(row.p99_seconds)),
    ("cpu s", lambda row: _number(".2f")(row.cpu_seconds)),
    ("x raw", lambda row: _number(".2f")(row.raw_ratio)),
    ("x DataBuild", lambda row: _number(".2f")(row.databuild_ratio)),
    ("added ms/task", lambda row: _number(".3f")(row.added_ms)),
    ("events/s", lambda row: _number(",.0f")(row.events_per_second)),
    ("peak MiB", lambda row: _number(".0f")(_mib(row))),
)

_LEGEND = """\
cpu s: processor time of a tool and of its children, on which other programs on the machine have less influence.
x raw: wall time relative to the raw limit, the cheapest loop that starts the same processes.
x DataBuild: wall time relative to a build of the same graph by DataBuild, in the same session.
added ms/task: time beyond start-up and the raw limit; beyond start-up for `build again` and `plan`, which run no job.
All columns but `median s` and `p99 s` show the fastest run.
"""


def as_text(setup: Mapping[str, str], rows: Sequence[Row], verdicts: Sequence[Verdict]) -> str:
    """Returns the set-up, a table for each scenario and size, and the targets."""
    parts = ["".join(f"{name}: {value}\n" for name, value in setup.items())]
    titles = dict.fromkeys((row.scenario, row.size) for row in rows)
    table = [[name for name, _ in _COLUMNS]]
    for scenario, size in titles:
        table.append([f"{scenario} {size:,}"])
        of_title = [row for row in rows if (row.scenario, row.size) == (scenario, size)]
        table += [["  " + cell(row) if not column else cell(row) for column, cell in _COLUMNS] for row in of_title]
    parts += [_aligned(table), _LEGEND]
    targets = [["target", "measured", "at most", "unit", "met"]]
    for verdict in verdicts:
        numbers = [
            _number(".3g" if (value or 0) < 100 else ",.0f")(value) for value in (verdict.measured, verdict.limit)
        ]
        met = {True: "yes", False: "no", None: "not measured"}[verdict.met]
        targets.append([verdict.target, *numbers, verdict.unit, met])
    parts.append(_aligned(targets))
    return "\n".join(parts)


def as_json(setup: Mapping[str, str], rows: Sequence[Row], verdicts: Sequence[Verdict]) -> str:
    """Returns one JSON object: `setup`, `rows` and `targets`."""
    document = {
        "setup": dict(setup),
        "rows": [dataclasses.asdict(row) for row in rows],
        "targets": [{**dataclasses.asdict(verdict), "met": verdict.met} for verdict in verdicts],
    }
    return json.dumps(document, indent=2) + "\n"


def _aligned(table: Sequence[Sequence[str]]) -> str:
    """Aligns the first column to the left and the others to the right. Lines of one cell do not widen a column."""
    columns = len(table[0])
    widths = [max(len(line[column]) for line in table if len(line) == columns) for column in range(columns)]
    lines = []
    for first, *others in table:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip() + "\n")
    return "".join(lines)
