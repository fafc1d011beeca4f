"""Main module of `bazel run //benchmarks`: flags, one session, and its report. A missed target is not an error."""

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
from benchmarks.scenarios import SCENARIOS, USUAL
from benchmarks.session import Session
from benchmarks.shapes import FULL, QUICK
from benchmarks.start_up import measure_start_up, start_up_rows
from benchmarks.targets import judge

_PARALLELISM = 2

_SHAPE = flags.DEFINE_multi_enum(
    "shape",
    list(USUAL),
    list(SCENARIOS),
    "A scenario to measure; may be repeated. By default, all but huge ones and peers.",
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "The number of timed runs of each contestant.", lower_bound=1)
_QUICK = flags.DEFINE_boolean(
    "quick", False, "Use small graphs, to test the benchmark itself. The numbers are meaningless."
)
_OUTPUT = flags.DEFINE_enum("output", "text", ["text", "json"], "The format of the report.")
_DIRECTORY = flags.DEFINE_string(
    "directory", None, "The folder in which graphs are built; by default, that of temporary files."
)
_PEERS = flags.DEFINE_string(
    "peers", ".peers", "The venv with other workflow tools for --shape=peers, which tools/dev/peers_venv.sh makes."
)


def _main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument: {argv[1]}")
    parent = None
    if _DIRECTORY.value:
        parent = _working_folder() / _DIRECTORY.value
        parent.mkdir(parents=True, exist_ok=True)
    try:
        report = _measure(parent)
    except BrokenRunError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(1)
    sys.stdout.write(report)


def _working_folder() -> Path:
    """Returns the folder in which the user has called Bazel or, without Bazel, the one of this process."""
    return Path(os.environ.get("BUILD_WORKING_DIRECTORY", "")).absolute()


def _measure(parent: Path | None) -> str:
    """Measures the scenarios of the flags in a temporary folder, and returns the report."""
    sizes = QUICK if _QUICK.value else FULL
    with tempfile.TemporaryDirectory(prefix="databuild-benchmarks-", dir=parent) as name:
        folder = Path(name)
        job = make_noop_job(folder)
        session = Session(
            folder=folder,
            job=job,
            environment=dict(os.environ),
            tools=installed_tools(),
            peers=_working_folder() / _PEERS.value,
            sizes=sizes,
            repeats=_REPEATS.value,
            parallelism=_PARALLELISM,
            log=lambda text: print(f"benchmarks: {text}", file=sys.stderr, flush=True),
        )
        setup = {
            **machine_facts(folder),
            "job": job.kind,
            "parallelism": f"{_PARALLELISM} processes",
            "repeats": str(_REPEATS.value),
        }
        start_up = measure_start_up(session)
        rows = list(start_up_rows(start_up.values()))
        for shape in SCENARIOS:
            if shape in _SHAPE.value:
                rows += SCENARIOS[shape](session, start_up)
    report = as_json if _OUTPUT.value == "json" else as_text
    return report(setup, rows, judge(Rows(rows), sizes))


if __name__ == "__main__":
    app.run(_main)
