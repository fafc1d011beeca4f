"""Reading commands and pages of the dashboard, with few and with very many partition records."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import main_file, python_environment
from benchmarks.pages import ENVIRONMENT, PAGES, PREVIEWED, Page, ServedLog
from benchmarks.processes import Run, run_process
from benchmarks.rows import Row
from benchmarks.service_process import FLAGS
from benchmarks.session import Contestant, Measurement, Session
from databuild.event_log.sqlite.writer import SqliteWriter
from tools.python import child

SCENARIO: Final = "records"
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "partitions, first page": ("partitions",),
    "partitions, a prefix": ("partitions", "leaf/7/"),
    "partitions, a status": ("partitions", "--status=FAILED"),
    "explain": ("explain", "leaf/7/3"),
    "downstream": ("downstream", "leaf/7/3"),
    "downstream, one step": ("downstream", "leaf/7/3", "--direct"),
    "status": ("status",),
}
"""The command line of each command, by the name of its row."""

_TURNS_PER_REPEAT = 3
_RECORDS_PER_BUILD: Final = 100
_COPIED_TABLES: Final = ("builds", "build_requests", "build_partitions", "job_runs", "partitions")
_CHANGED: Final = tuple(f"leaf/{number}" for number in range(100))
"""The partitions that the environment has, which are compared with those of the base."""

_LAST_DAY: Final = dt.date(2025, 12, 31)
_NEW_DAY: Final = """
INSERT INTO partitions
  (ref, status, build_request_id, time, available, version, job_run_id, metadata, adoption, location)
SELECT ?, status, build_request_id, time, available, version, job_run_id, ?, '', ?
FROM partitions WHERE ref = ?
"""
_NEW_METRICS: Final = """
INSERT INTO job_run_metrics
SELECT job_run_id, 'read', '', build_request_id, 5, 'bytes' FROM partitions WHERE ref LIKE 'day/%'
"""
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
    """Runs a command on an event log with some number of records."""

    def __init__(self, name: str, folder: Path, records: int) -> None:
        self.name = name
        self._folder = folder
        self._records = records

    def run(self, environment: Mapping[str, str]) -> Run:
        argv = _command(self._folder, self._records, *COMMANDS[self.name])
        return run_process(argv, python_environment(environment, self._folder), self._folder / "output")


def read(session: Session, _start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Runs all commands and pages in turns, with few and with many records, and yields their rows."""
    folder = session.folder / SCENARIO
    folder.mkdir()
    job = folder / "job"
    job.write_text(_CONFIG)
    job.chmod(0o755)
    entry = {"label": "//load:job", "executable": "job", "outputs": ["leaf/{n:int}", "leaf/{n:int}/{build:int}"]}
    dated = {"label": "//load:day", "executable": "job", "outputs": ["day/{d:date}"]}
    (folder / "catalog.json").write_text(json.dumps({"graphLabel": "//load:graph", "jobs": [entry, dated]}))
    for records in session.sizes.records:
        session.log(f"{SCENARIO}: creating {records:,} records")
        _create(session, folder, records)
    contestants: list[Contestant] = []
    sizes: list[int] = []
    with contextlib.ExitStack() as stack:
        for records in session.sizes.records:
            served = ServedLog(_command(folder, records, "serve", *FLAGS), folder)
            stack.callback(served.end)
            contestants += [_Read(name, folder, records) for name in COMMANDS]
            contestants += [Page(name, served) for name in PAGES]
            sizes += [records] * (len(COMMANDS) + len(PAGES))
        measurements = session.measure(SCENARIO, contestants, turns_per_repeat=_TURNS_PER_REPEAT)
    for records, measurement in zip(sizes, measurements, strict=True):
        yield Row(
            scenario=SCENARIO,
            size=records,
            name=measurement.name,
            tasks=0,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            peak_memory_bytes=measurement.peak_memory_bytes,
        )


def _command(folder: Path, records: int, *words: str) -> Sequence[str]:
    flags = (f"--catalog={folder}/catalog.json", f"--runfiles={folder}")
    return child.command(main_file(), *flags, *words, f"--state_dir={folder}/{records}")


def _create(session: Session, folder: Path, records: int) -> None:
    """Creates an event log with partition records: of one build, and copies of its rows under other ids."""
    state = folder / str(records)
    state.mkdir()
    program = str(Path(__file__).with_name("log_load.py"))
    argv = child.command(program, "builds", f"sqlite:{state}/events.db", "1", str(_RECORDS_PER_BUILD), "/job")
    run_process(argv, python_environment(session.environment, folder), folder / "output")
    connection = sqlite3.connect(state / "events.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for table in _COPIED_TABLES:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"
        for number in range(1, records // _RECORDS_PER_BUILD):
            connection.executemany(insert, [tuple(_renamed(value, number) for value in row) for row in rows])
    # Builds one after the other, a second apart.
    connection.executemany(
        "UPDATE builds SET first_position = ? WHERE build_request_id = ?",
        [(number + 1, f"b{number}") for number in range(1, records // _RECORDS_PER_BUILD)],
    )
    connection.execute(
        "UPDATE job_runs SET scheduled_time = scheduled_time + CAST(substr(build_request_id, 2) AS INTEGER)"
    )
    connection.executemany("UPDATE job_runs SET inputs = ? WHERE job_run_id = ?", _manifests(connection))
    preview = folder / "day.txt"
    preview.write_text(f"{PREVIEWED}\n")
    location = json.dumps((preview.as_uri(), preview.stat().st_size, ""), separators=(",", ":"))
    connection.executemany(_NEW_DAY, _days(connection, location))
    connection.execute(_NEW_METRICS)
    connection.execute("COMMIT")
    connection.close()
    writer = SqliteWriter(str(state / "events.db"))
    writer.fill_uses()
    writer.close()
    # The first change in an environment makes it.
    taint = ("taint", *_CHANGED, f"--environment={ENVIRONMENT}", "--reason=changed")
    run_process(_command(folder, records, *taint), python_environment(session.environment, folder), folder / "output")


def _days(connection: sqlite3.Connection, location: str) -> Iterator[tuple[str, str, str, str]]:
    """Yields a day with its metadata for every second partition, which has the same job run; the newest is the same.

    Args:
        connection: The event log.
        location: The location of all days, as JSON.
    """
    refs = connection.execute("SELECT ref FROM partitions").fetchall()[::2]
    for number, (ref,) in enumerate(refs, 1):
        day = dt.date.fromordinal(_LAST_DAY.toordinal() - len(refs) + number)
        yield f"day/{day}", json.dumps({"rows": 1000 + number % 7}), location, ref


def _manifests(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yields the inputs of each job run: of the partitions of a build, each was made from the one before it."""
    for ref, run in connection.execute("SELECT ref, job_run_id FROM partitions").fetchall():
        leaf, number, *build = ref.split("/")
        if number != "0":
            yield json.dumps([("/".join([leaf, str(int(number) - 1), *build]), "1", False)]), run


def _renamed(value: object, number: int) -> object:
    """Returns a value of a row of build 0 for the same row of another build."""
    if not isinstance(value, str):
        return value
    if value == "b0" or value.startswith("b0."):
        return f"b{number}{value[2:]}"
    return f"{value}/{number}" if value.startswith("leaf/") else value
