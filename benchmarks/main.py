"""The entry of `bazel run //benchmarks`: flags, one sitting, and its report. The exit code tells of no target."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from benchmarks.machine import machine_facts
from benchmarks.noop_job import make_noop_job
from benchmarks.other_tools import installed_tools
from benchmarks.processes import BrokenRunError
from benchmarks.report import as_json, as_text
from benchmarks.rows import Rows
from benchmarks.scenarios import SCENARIOS
from benchmarks.shapes import FULL, QUICK
from benchmarks.sitting import Sitting
from benchmarks.start_up import measure_start_up, start_up_rows
from benchmarks.targets import judge

_AT_ONCE = 2

_SHAPE = flags.DEFINE_multi_enum(
    "shape", list(SCENARIOS), list(SCENARIOS), "What to measure; may be repeated. By default, everything."
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "How often everything is timed.", lower_bound=1)
_QUICK = flags.DEFINE_boolean(
    "quick", False, "Small graphs, to see that the benchmark works. The numbers mean nothing."
)
_OUTPUT = flags.DEFINE_enum("output", "text", ["text", "json"], "The form of the report.")
_DIRECTORY = flags.DEFINE_string(
    "directory", None, "Where graphs are built; by default, where temporary files are kept."
)


def _main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument: {argv[1]}")
    parent = None
    if _DIRECTORY.value:
        parent = Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""), _DIRECTORY.value).absolute()
        parent.mkdir(parents=True, exist_ok=True)
    try:
        report = _measure(parent)
    except BrokenRunError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(1)
    sys.stdout.write(report)


def _measure(parent: Path | None) -> str:
    """Measures what the flags say, in a folder that is gone afterwards, and returns the report."""
    sizes = QUICK if _QUICK.value else FULL
    with tempfile.TemporaryDirectory(prefix="databuild-benchmarks-", dir=parent) as name:
        folder = Path(name)
        job = make_noop_job(folder)
        sitting = Sitting(
            folder=folder,
            job=job,
            environment=dict(os.environ),
            tools=installed_tools(),
            sizes=sizes,
            repeats=_REPEATS.value,
            at_once=_AT_ONCE,
            tell=lambda text: print(f"benchmarks: {text}", file=sys.stderr, flush=True),
        )
        setup = {
            **machine_facts(folder),
            "job": job.kind,
            "at once": f"{_AT_ONCE} processes",
            "repeats": str(_REPEATS.value),
        }
        start_up = measure_start_up(sitting)
        rows = list(start_up_rows(start_up.values()))
        for shape in SCENARIOS:
            if shape in _SHAPE.value:
                rows += SCENARIOS[shape](sitting, start_up)
    report = as_json if _OUTPUT.value == "json" else as_text
    return report(setup, rows, judge(Rows(rows), sizes))


if __name__ == "__main__":
    app.run(_main)
