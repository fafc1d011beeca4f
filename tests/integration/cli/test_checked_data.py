"""Data in a table, at which DataBuild cannot look: jobs answer whether it exists, here and in a service."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.script_graph import ScriptGraph, ServedGraph

ROOT = Path(__file__).parents[3]

PROGRAM = f"""#!{sys.executable} -I
import json, os, pathlib, sqlite3, sys
sys.path.insert(0, {str(ROOT)!r})
from databuild.job import Config, Found, Run, main

ENVIRONMENT = os.environ.get("DATABUILD_ENVIRONMENT", "")

def connect():
    return sqlite3.connect("store.db", isolation_level=None)

def config(refs):
    for ref in refs:
        kind, _, name = ref.partition("/")
        needed = [f"number/{{one}}" for one in name.split("_")] if kind == "sum" else []
        yield Config(outputs=[ref], materialize=needed, args=[ref])

def run(run: Run) -> None:
    (ref,) = run.args
    with connect() as store:
        version = 1 + store.execute("SELECT coalesce(max(version), 0) FROM data").fetchone()[0]
        store.execute("REPLACE INTO data VALUES (?, ?, ?)", (run.environment, ref, version))
    uri = f"table:/{{ref}}" if pathlib.Path("located").exists() else ""
    run.finished(ref, uri=uri, version=str(version) if uri else "", made=run.environment or "the base")

def check(refs):
    with open("asked", "a") as file:
        file.write(json.dumps([ENVIRONMENT, *refs]) + "\\n")
    with connect() as store:
        rows = store.execute("SELECT ref, version FROM data WHERE environment = ?", (ENVIRONMENT,)).fetchall()
    return {{ref: Found(version=str(version)) for ref, version in rows if ref in refs}}

main(config, run, check=check)
"""


class Tables(ScriptGraph):
    """A graph whose data is rows of a table; numbers can be asked about, sums cannot."""

    def __init__(self, folder: Path, *, served: bool) -> None:
        super().__init__(folder)
        self.served = served
        self.service: ServedGraph | None = None
        for job in self.jobs:
            (folder / str(job["executable"])).write_text(PROGRAM)
        self.jobs[0]["check"] = True
        self.write_catalog()
        self.sql("CREATE TABLE data (environment TEXT, ref TEXT, version INTEGER, PRIMARY KEY (environment, ref))")

    def __call__(self, *args: str) -> tuple[int, str, str]:
        if self.served and self.service is None:
            self.service = self.serve()
        flags = [f"--server={self.service.addresses['grpc']}"] if self.service else []
        return super().__call__(*args, *flags)

    def sql(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "store.db")) as store, store:
            store.execute(statement)

    def asked(self) -> list[list[str]]:
        """Returns the environment and the refs of each call of `check` since the last time."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture(params=[False, True], ids=["here", "service"])
def graph(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    monkeypatch.chdir(tmp_path)
    graph = Tables(tmp_path, served=request.param)
    yield graph
    graph.close()


def built(graph: Tables, *refs: str) -> None:
    code, _, err = graph("build", *refs)
    assert code == 0, err


def test_a_row_that_was_deleted_is_noticed_and_made_again(graph: Tables) -> None:
    built(graph, "sum/a_b", "sum/b_c")
    graph.sql("DELETE FROM data WHERE ref = 'number/b'")

    code, out, err = graph("partitions", "verify")

    assert code == 1
    assert out == (
        "missing     number/b\n"
        "looked at 3 partitions: 1 missing; 2 partitions without a place to look at; the next build that needs it "
        "rebuilds it\n"
    )
    assert err == (
        "databuild: not looked at: data of //numbers:sum; with `check = True`, its program can answer "
        "whether it exists\n"
    )
    assert graph.asked() == [["", "number/a", "number/b", "number/c"]]
    assert "would make it (lost)" in graph("explain", "number/b")[1]
    assert "built 2 partitions in 2 job runs: number/b, sum/a_b\n" in graph("build", "sum/a_b")[1]
    assert graph("partitions", "verify", "number/{name}")[:2] == (0, "looked at 3 partitions: all as recorded\n")
    assert graph("events", "verify")[0] == 0


def test_a_build_notices_a_lost_row_by_itself(graph: Tables) -> None:
    built(graph, "number/a", "number/b")
    graph.sql("DELETE FROM data WHERE ref = 'number/b'")

    _, out, _ = graph("build", "sum/a_b")

    assert "built 2 partitions in 2 job runs: number/b, sum/a_b\n" in out
    assert "SCHEDULED  number/b  (LOST)" in graph("events")[1]
    assert graph.asked() == [["", "number/a", "number/b"]]


def test_a_plan_has_a_lost_row_as_the_build_that_follows(graph: Tables) -> None:
    built(graph, "number/a", "number/b")
    graph.sql("DELETE FROM data WHERE ref = 'number/b'")

    _, plan = graph.json("plan", "sum/a_b")

    assert {one["ref"]: one["reason"] for one in plan["partitions"]} == {
        "number/a": "UP_TO_DATE",
        "number/b": "LOST",
        "sum/a_b": "MISSING",
    }
    assert graph.asked() == [["", "number/a", "number/b"]]
    assert graph("partitions", "--status=MISSING")[1].count("number/b") == 0


@pytest.mark.parametrize(
    ("policy", "reason"), [("report", "up to date"), ("rebuild", "tainted"), ("adopt", "up to date")]
)
def test_a_changed_row_is_handled_as_the_user_says(graph: Tables, policy: str, reason: str) -> None:
    (graph.folder / "located").touch()
    built(graph, "number/a", "number/b")
    graph.sql("UPDATE data SET version = 70 WHERE ref = 'number/b'")

    code, result = graph.json("partitions", "verify", f"--changed={policy}")

    assert [(one["ref"], one["kind"], one["uri"], one["detail"]) for one in result["findings"]] == [
        ("number/b", "changed", "table:/number/b", "it was written again")
    ]
    assert code == (0 if policy == "adopt" else 1)
    assert f"({reason}" in graph("explain", "number/b")[1]
    assert graph("partitions", "verify", "number/b")[0] == (0 if policy == "adopt" else 1)


def test_a_program_that_fails_makes_nothing_missing(graph: Tables) -> None:
    built(graph, "number/a", "number/b")
    graph.sql("DROP TABLE data")

    code, result = graph.json("partitions", "verify")

    reason = (
        "`check` of //numbers:number failed: it ended with exit code 1: sqlite3.OperationalError: no such table: data"
    )
    assert [(one["kind"], one["detail"]) for one in result["findings"]] == [("unreadable", reason)] * 2
    assert (code, result["checked"]) == (1, 2)
    assert graph.json("partitions")[1]["counts"] == {"AVAILABLE": 2}


def test_an_empty_store_is_no_loss_until_that_is_confirmed(graph: Tables) -> None:
    built(graph, "number/a", "number/b")
    graph.sql("DELETE FROM data")

    assert {one["kind"] for one in graph.json("partitions", "verify")[1]["findings"]} == {"unreadable"}
    code, _, err = graph("build", "sum/b_b")
    assert code == 3
    assert "`check` of //numbers:number finds none of 2 partitions; its store may be empty or another one" in err
    assert "confirm_losses" in err
    result = graph.json("partitions", "verify", "--confirm_losses")[1]
    assert [(one["ref"], one["kind"]) for one in result["findings"]] == [
        ("number/a", "missing"),
        ("number/b", "missing"),
    ]
    assert "built 2 partitions in 2 job runs: number/b, sum/b_b\n" in graph("build", "sum/b_b")[1]


def test_data_is_looked_for_in_the_environment_in_which_it_was_made(graph: Tables) -> None:
    built(graph, "number/a", "number/b")
    in_pr = "--environment=pr-1"
    assert graph("build", "number/c", "number/d", in_pr)[0] == 0
    graph.sql("DELETE FROM data WHERE ref = 'number/d'")
    graph.asked()

    result = graph.json("partitions", "verify", in_pr, "--dry_run")[1]
    assert [(one["ref"], one["kind"]) for one in result["findings"]] == [("number/d", "missing")]
    assert sorted(graph.asked()) == [["", "number/a", "number/b"], ["pr-1", "number/c", "number/d"]]
    assert "built 2 partitions in 2 job runs: number/d, sum/a_c_d\n" in graph("build", "sum/a_c_d", in_pr)[1]
    assert sorted(graph.asked()) == [["", "number/a"], ["pr-1", "number/c", "number/d"]]

    assert graph("environments", "promote", "pr-1", "number/c")[0] == 0
    assert graph("partitions", "verify", "number/{name}")[0] == 0
    assert sorted(graph.asked()) == [["", "number/a", "number/b"], ["pr-1", "number/c"]]

    # A taint of data of the base copies its record to the environment. The job cannot tell where that data is.
    graph("taint", "number/a", "--reason=test", in_pr)
    graph("taint", "number/a", "--untaint", in_pr)
    result = graph.json("partitions", "verify", "number/{name}", in_pr)[1]
    assert (result["checked"], result["not_looked_at"], result["findings"]) == (3, 1, [])
