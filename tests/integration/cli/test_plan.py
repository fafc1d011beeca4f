"""The command `plan`, and builds of a plan."""

from __future__ import annotations

import pytest

from tests.support.script_graph import ScriptGraph


def test_a_plan_changes_nothing_and_gives_reasons(graph: ScriptGraph) -> None:
    code, out, _ = graph("plan")

    assert code == 0
    assert "would build 3 partitions in 3 tasks" in out
    assert "missing" in out
    assert graph("builds")[1] == "no builds\n"


def test_a_dry_run_is_a_plan(graph: ScriptGraph) -> None:
    assert graph("build", "--dry_run", "number/x")[1] == graph("plan", "number/x")[1]


def test_a_plan_as_json_names_reasons(graph: ScriptGraph) -> None:
    _, plan = graph.json("plan", "number/x")

    assert plan["counts"] == {"MISSING": 1}
    assert plan["partitions"][0]["reason"] == "MISSING"
    assert plan["tasks"][0]["job_label"] == "//numbers:number"
    assert len(plan["tasks"][0]["configuration_digest"]) == 32


def test_a_plan_file_is_run_exactly(graph: ScriptGraph) -> None:
    assert graph("plan", "--output=three.plan")[0] == 0

    code, result = graph.json("build", "--plan=three.plan")

    assert code == 0
    assert result["built"] == ["number/ab", "number/c", "sum/ab_c"]


def test_a_plan_that_the_world_moved_under_is_refused(graph: ScriptGraph) -> None:
    graph("plan", "--output=three.plan")
    graph("build", "number/c")

    code, _, err = graph("build", "--plan=three.plan")

    assert code == 4
    assert "the plan is out of date" in err


def test_a_plan_that_is_none_is_refused(graph: ScriptGraph) -> None:
    (graph.folder / "bad.plan").write_text("not a plan")

    assert graph("build", "--plan=bad.plan")[0] == 2
    assert graph("build", "--plan=nowhere.plan")[0] == 2


def test_a_plan_that_is_given_is_not_made_anew(graph: ScriptGraph) -> None:
    code, _, err = graph("build", "--plan=a.plan", "--dry_run")

    assert code == 2
    assert "--dry_run makes a new plan" in err


@pytest.mark.parametrize("flag", ["--force", "--stale=reuse"])
def test_a_plan_says_itself_what_is_forced_and_reused(graph: ScriptGraph, flag: str) -> None:
    graph("plan", "--output=a.plan")

    code, _, err = graph("build", "--plan=a.plan", flag)

    assert code == 2
    assert "--plan already has the values of --force" in err
