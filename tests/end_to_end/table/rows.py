"""Stores each partition as a row of the SQLite database that the variable STORE names."""

import contextlib
import os
import sqlite3
from collections.abc import Sequence

from databuild.job import Run, main


def connect() -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(os.environ["STORE"], timeout=60.0))


def run(run: Run) -> None:
    with connect() as store, store:
        store.execute("CREATE TABLE IF NOT EXISTS data (ref TEXT PRIMARY KEY, value INTEGER)")
        values = dict(store.execute("SELECT ref, value FROM data"))
        if absent := [used.ref for used in run.inputs if used.ref not in values]:
            raise SystemExit(f"no row for {absent}")
        value = sum(values[used.ref] for used in run.inputs) if run.inputs else run.output.fields.date.day
        store.execute("REPLACE INTO data VALUES (?, ?)", (run.output.ref, value))
    print(f"{run.output.ref} is {value}")
    run.finished(run.output.ref, content_digest=f"value {value}")


def check(refs: Sequence[str]) -> list[str]:
    with connect() as store:
        stored = {ref for (ref,) in store.execute("SELECT ref FROM data")}
    return [ref for ref in refs if ref in stored]


if __name__ == "__main__":
    main(run, check=check)
