"""Commands that read, and pages of the dashboard, beside few and beside very many partition records."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import main_file, python_environment
from benchmarks.pages import PAGES, Page, ServedLog
from benchmarks.processes import Run, run_process
from benchmarks.rows import Row
from benchmarks.served import FLAGS
from benchmarks.sitting import Contestant, Measured, Sitting
from tools.python import child

SCENARIO: Final = "records"
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "partitions, first page": ("partitions",),
    "partitions, a prefix": ("partitions", "leaf/7/"),
    "partitions, a status": ("partitions", "--status=FAILED"),
    "explain": ("explain", "leaf/7/3"),
    "status": ("status",),
}
"""What is run, by what its row is called."""

_TURNS_PER_REPEAT = 3
_OF_A_BUILD: Final = 100
_COPIED: Final = ("builds", "build_partitions", "job_runs", "partitions")
_CONFIG: Final = """\
#!/bin/sh
shift
separator=
printf '{"configs": ['
for ref in "$@"; do
  printf '%s{"outputs": [{"str": "%s"}], "args": ["%s"]}' "$separator" "$ref" "$ref"
  separator=,
done
printf ']}'
"""


class _Read:
    """Runs a command beside some number of records."""

    def __init__(self, name: str, folder: Path, records: int) -> None:
        self.name = name
        self._folder = folder
        self._records = records

    def run(self, environment: Mapping[str, str]) -> Run:
        """Runs it."""
        argv = _command(self._folder, self._records, *COMMANDS[self.name])
        return run_process(argv, python_environment(environment, self._folder), self._folder / "output")


def read(sitting: Sitting, _start_up: Mapping[str, Measured]) -> Iterator[Row]:
    """Reads in turns beside few and many records, and yields a row for each command and number of records."""
    folder = sitting.folder / SCENARIO
    folder.mkdir()
    job = folder / "job"
    job.write_text(_CONFIG)
    job.chmod(0o755)
    entry = {"label": "//load:job", "executable": "job", "outputs": ["leaf/{n:int}", "leaf/{n:int}/{build:int}"]}
    (folder / "catalog.json").write_text(json.dumps({"graphLabel": "//load:graph", "jobs": [entry]}))
    for records in sitting.sizes.records:
        sitting.tell(f"{SCENARIO}: making {records:,}")
        _make(sitting, folder, records)
    contestants: list[Contestant] = []
    sizes: list[int] = []
    with contextlib.ExitStack() as stack:
        for records in sitting.sizes.records:
            served = ServedLog(_command(folder, records, "serve", *FLAGS), folder)
            stack.callback(served.end)
            contestants += [_Read(name, folder, records) for name in COMMANDS]
            contestants += [Page(name, served) for name in PAGES]
            sizes += [records] * (len(COMMANDS) + len(PAGES))
        measured = sitting.measure(SCENARIO, contestants, turns_per_repeat=_TURNS_PER_REPEAT)
    for records, of_one in zip(sizes, measured, strict=True):
        yield Row(
            scenario=SCENARIO,
            size=records,
            what=of_one.name,
            tasks=0,
            processes=of_one.processes,
            seconds=of_one.seconds,
            median_seconds=of_one.median_seconds,
            peak_memory_bytes=of_one.peak_memory_bytes,
        )


def _command(folder: Path, records: int, *words: str) -> Sequence[str]:
    """Returns a command on so many records."""
    flags = (f"--catalog={folder}/catalog.json", f"--runfiles={folder}")
    return child.command(main_file(), *flags, *words, f"--state_dir={folder}/{records}")


def _make(sitting: Sitting, folder: Path, records: int) -> None:
    """Makes an event log with so many partition records: one build, and copies of what it added up to."""
    state = folder / str(records)
    state.mkdir()
    program = str(Path(__file__).with_name("log_load.py"))
    argv = child.command(program, "builds", f"sqlite:{state}/events.db", "1", str(_OF_A_BUILD), "/job")
    run_process(argv, python_environment(sitting.environment, folder), folder / "output")
    connection = sqlite3.connect(state / "events.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for table in _COPIED:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"
        for number in range(1, records // _OF_A_BUILD):
            connection.executemany(insert, [tuple(_renamed(value, number) for value in row) for row in rows])
    connection.execute("COMMIT")
    connection.close()


def _renamed(value: object, number: int) -> object:
    """Returns what stands in a row of build 0 as it would in one of another build."""
    if not isinstance(value, str):
        return value
    if value == "b0" or value.startswith("b0."):
        return f"b{number}{value[2:]}"
    return f"{value}/{number}" if value.startswith("leaf/") else value
