"""Commands that read: `status`, `logs`, `events`, `partitions`, `explain`, `graph`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.support.present import present
from tests.support.script_graph import ScriptGraph


def test_a_log_is_verified_and_what_is_broken_is_told(graph: ScriptGraph) -> None:
    build = graph.json("build")[1]["build_request_id"]
    graph("build")
    whole = graph("events", "verify")
    with sqlite3.connect(next(graph.folder.glob(".databuild/**/events.db"))) as connection:
        connection.execute("UPDATE builds SET jobs_failed = 9 WHERE build_request_id = ?", (build,))
        connection.execute("DELETE FROM build_partitions WHERE build_request_id = ?", (build,))
    connection.close()
    fault = f"builds '{build}' has 9 as jobs_failed, and the events say 0"
    code, broken, _ = graph("events", "verify", build)
    as_json = graph.json("events", "verify")

    assert whole[:2] == (0, "verified 34 events of 2 builds\n")
    assert graph("events", "verify", "latest")[0] == 0
    assert code == 1
    assert broken.splitlines()[0] == fault
    assert f"build_partitions '{build}' 'sum/ab_c' is missing" in broken
    assert broken.splitlines()[-1].startswith("4 faults in ")
    assert as_json[0] == 1
    assert as_json[1]["faults"] == 4
    assert as_json[1]["reported"][0] == {"build_request_id": build, "message": fault}


def test_status_logs_events_and_partitions_tell_of_the_build(graph: ScriptGraph) -> None:
    graph("build")

    assert "COMPLETED" in graph("status")[1]
    assert "3/3" in graph("builds")[1]
    assert "making ab\n" in graph("logs")[1]
    assert graph("events")[1].splitlines()[-1].endswith("build_request  COMPLETED")
    assert [row["ref"] for row in graph.json("partitions", "number/")[1]["partitions"]] == ["number/ab", "number/c"]


def test_builds_of_equal_worlds_have_equal_events(graph: ScriptGraph, tmp_path: Path) -> None:
    graph("build", "--jobs=2")
    graph("build", "--force", "number/ab")
    graph("build", "--force", "number/ab", "--jobs=1")
    builds = [build["build_request_id"] for build in graph.json("builds")[1]["builds"]]
    assert len(builds) == 3

    code, out, _ = graph("events", "diff", builds[0], builds[2])

    assert code == 1
    assert out.startswith("---")


def test_explain_tells_lineage_and_reason(graph: ScriptGraph) -> None:
    assert "never built here" in graph("explain", "sum/ab_c")[1]
    graph("build")
    (graph.folder / "number.digest").write_text("number-2\n")

    code, out, _ = graph("explain", "sum/ab_c")

    assert code == 0
    assert "input      number/ab" in out
    assert "would make it (input changed: number/" in out


def test_downstream_lists_what_was_made_from_a_partition(graph: ScriptGraph) -> None:
    graph("build", "sum/ab_c", "sum/c_d")

    code, out, err = graph("downstream", "number/c")
    _, direct = graph.json("downstream", "number/ab", "number/c", "--direct")

    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["PARTITION", "STEPS", "MADE", "FROM", "STATUS", "DATA"]
    assert rows[2:4] == [[ref, "1", "number/c", "AVAILABLE", "yes"] for ref in ("sum/ab_c", "sum/c_d")]
    assert "2 partitions in 1 step" in err
    assert [(item["input"], item["ref"]) for item in direct["recorded"]["partitions"]] == [
        ("number/ab", "sum/ab_c"),
        ("number/c", "sum/ab_c"),
        ("number/c", "sum/c_d"),
    ]
    assert direct["recorded"]["complete"]
    assert direct["declared"] == {
        "dependents": [],
        "complete": True,
        "undeclared_jobs": ["//numbers:number", "//numbers:sum"],
    }


def test_downstream_shows_whose_input_has_changed_and_what_is_tainted(graph: ScriptGraph) -> None:
    graph("build", "sum/ab_c", "sum/c_d")
    graph("build", "--force", "number/ab")
    graph("taint", "sum/c_d", "--reason=wrong")

    out = graph("downstream", "number/ab", "number/c", "--direct")[1]
    cut = graph("downstream", "number/c", "--limit=1")

    assert [line.split("  ")[-1] for line in out.splitlines()[2:5]] == ["yes, input changed", "yes", "yes, tainted"]
    assert cut[1].splitlines()[3] == ""
    assert "a larger --limit shows them" in cut[2]
    assert "no partition was made from sum/c_d\n" in graph("downstream", "sum/c_d")[1]
    assert graph("downstream")[0] == 2


@pytest.mark.parametrize("refs", [(), ("sum/a_b", "sum/a_c"), ("nothing", "number/a")])
def test_explain_takes_one_partition(graph: ScriptGraph, refs: tuple[str, ...]) -> None:
    assert f"explain takes one REF, not {len(refs)}; see `help explain`" in graph("explain", *refs)[2]


@pytest.mark.parametrize(("form", "beginning"), [("mermaid", ("flowchart", "graph")), ("dot", ("digraph",))])
def test_the_job_graph_is_drawn_whole(graph: ScriptGraph, form: str, beginning: tuple[str, ...]) -> None:
    graph("build")

    code, out, _ = graph("graph", "sum/ab_c", f"--format={form}")

    assert code == 0
    assert out.startswith(beginning)
    assert "sum/ab_c" in out
    assert "number/c" in out


@pytest.mark.parametrize(("form", "beginning"), [("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg")])
def test_without_a_partition_the_whole_graph_is_drawn_by_job(graph: ScriptGraph, form: str, beginning: str) -> None:
    code, out, err = graph("graph", f"--format={form}")

    assert (code, err) == (0, "")
    assert out.startswith(beginning)
    assert "//numbers:sum" in out
    assert "sum/{names}" in out
    assert "inputs known when planned" in out
    assert "ab_c" not in out
    assert not (graph.folder / ".databuild").exists()


def test_a_closed_pipe_is_quiet(graph: ScriptGraph) -> None:
    graph("build")
    process = graph.start("events")
    present(process.stdout).close()
    error = present(process.stderr).read()
    present(process.stderr).close()

    assert process.wait(timeout=20) == 0
    assert error == ""


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        ("partitions forgt number/ab --reason=x", "did you mean `partitions forget`?"),
        ("partitions number/ab number/c", "partitions takes one PREFIX, not 2; run it once for each"),
        ("events verfy", "there is no build 'verfy'; did you mean `events verify`?"),
        ("events verfy latest", "did you mean `events verify`?"),
        ("events dif latest latest", "did you mean `events diff`?"),
        ("events 2026", "there is no build '2026'; `builds` lists the builds"),
        ("environments remvoe pr-1", "did you mean `environments remove`?"),
        ("environments pr-1", "use list, diff, promote or remove"),
    ],
)
def test_a_misspelt_form_of_a_command_is_refused_with_a_hint(graph: ScriptGraph, args: str, hint: str) -> None:
    code, out, err = graph(*args.split())

    assert (code, out) == (2, "")
    assert hint in err


def test_a_prefix_without_partitions_that_is_close_to_a_form_has_a_hint(graph: ScriptGraph) -> None:
    graph("build")

    code, out, err = graph("partitions", "Verfy")
    assert (code, out) == (0, "no partitions\n")
    assert err.startswith("databuild: no partition begins with 'Verfy'; did you mean `partitions verify`?\n")
    for text in ("number/{name}", "number/1..3"):
        assert (
            f"begins with {text!r}; a PREFIX is neither a pattern nor a range; try `partitions number/"
            in (graph("partitions", text)[2])
        )
    for without_hint in (["clean/"], ["other"], ["verfy", "--status=FAILED"], ["verfy", "--after=a"], ["number"]):
        assert "did you mean" not in graph("partitions", *without_hint)[2]


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("prune", "--keep=1"),
        ("partitions", "forget", "number/a", "--reason=x"),
        ("partitions", "delete", "number/a", "--reason=x", "--yes"),
        ("partitions", "clean"),
        ("partitions", "verify"),
        ("events", "verify"),
    ],
)
def test_where_nothing_was_built_no_event_log_is_created(graph: ScriptGraph, command: tuple[str, ...]) -> None:
    code, _, err = graph(*command)

    assert code == (2 if command == ("status",) else 0)
    event_log = f"the event log sqlite:{graph.folder}/.databuild/numbers/graph/events.db"
    fault = (
        f"databuild: there are no builds yet in {event_log}; choose another event log with --state_dir or --event_log\n"
    )
    assert err == (fault if command == ("status",) else "")
    assert not (graph.folder / ".databuild").exists()


def test_the_event_log_without_builds_is_named(graph: ScriptGraph) -> None:
    graph("build")
    graph("taint", "number/ab", "--environment=pr", "--reason=x")

    for command in (("status",), ("logs", "latest"), ("retry",), ("cancel", "latest"), ("report",), ("events",)):
        code, _, err = graph(*command, "--event_log=sqlite:other/events.db")

        assert code == 2
        assert f"there are no builds yet in the event log sqlite:{graph.folder}/other/events.db; choose another" in err
    assert "there are no builds yet in the environment 'pr' of the event log" in graph("status", "--environment=pr")[2]
    assert "there is no build 'b'; `builds` lists the builds" in graph("status", "b")[2]
